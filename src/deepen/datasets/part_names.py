"""The names that parts of data sets have in folders and tables."""

import re

PART_ALIASES = {  # what the parts are also called, in lower case
    **dict.fromkeys(("train", "training", "trainset", "train_set", "training_set"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "tests", "testset", "test_set"), "test"),
}

_PART = re.compile(r"([a-z]+[ _-]?)?(train(ing)?|val(id(ation|ate)?)?|dev|test(ing|s)?)[ _-]?(set|split|[0-9]+)?")
_FOLDS = re.compile(r"(k|cv)?_?folds?")


def resembles_part(cell: str) -> bool:
    """Return whether a cell may name a part, also in words such as PublicTest, eval or train_1."""
    return bool(_PART.fullmatch(cell.lower()))


def is_of_parts(column: str) -> bool:
    """Return whether a column's name says that its cells tell the parts in another way: is_valid, train, fold."""
    name = column.lower().replace(" ", "_").replace("-", "_")
    return name.removeprefix("is").removeprefix("_") in PART_ALIASES or bool(_FOLDS.fullmatch(name))
