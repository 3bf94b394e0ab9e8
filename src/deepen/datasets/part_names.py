"""The names that parts of data sets have in folders and tables."""

import re

PART_ALIASES = {  # what the parts are also called, in lower case
    **dict.fromkeys(("train", "training", "trainset", "train_set", "training_set"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "tests", "testset", "test_set"), "test"),
}

_FOLDS = re.compile(r"(k|cv)?_?folds?")


def is_of_parts(column: str) -> bool:
    """Return whether a column's name says that its cells tell the parts in another way: is_valid, train, fold."""
    name = column.lower().replace(" ", "_").replace("-", "_")
    return name.removeprefix("is").removeprefix("_") in PART_ALIASES or bool(_FOLDS.fullmatch(name))
