"""Layouts that people have instead of train/<class>/*, and what to type to get there."""

import os
import re
import shlex
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path

from deepen.core.errors import plain
from deepen.datasets.layout import FOLDERS, Layout, Loose
from deepen.datasets.walk import PathParts, Walk
from deepen.decoding.formats import NAMES

_ALIASES = {
    **dict.fromkeys(("train", "training", "trainset", "train_set", "training_set"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "tests", "testset", "test_set"), "test"),
}
_PART_IN_NAME = re.compile(r"(?<![a-z])(train|training|test|testing|val|valid|validation)(?![a-z])", re.IGNORECASE)
_TABLES = (".csv", ".tsv", ".xlsx", ".json", ".txt", ".xml")  # which may say the class of each image
_MOST_WORDS = 10  # of folders that a command names


def without_train(layout: Layout, walk: Walk) -> str:
    """The one sentence on a root in which no train/ has images."""
    loose = layout.under(None)
    if not loose:
        return no_image("train/<class>/", walk)
    if rename := renaming(walk.root, loose, "train"):
        return f"has no train/, but folders named like it; rename: {rename}"
    if (above := _above_train(walk.root)) is not None:
        return f"is, or lies in, a folder named train; if its folders are the classes, set root to {_quoted(above)}"
    base = _common(loose)
    classes = sorted({folder[len(base)] for folder in loose if len(folder) > len(base)})
    if base in loose or len(classes) < 2:
        where = plain("/".join(base)) + "/: " if base else ""
        return f"{where}{counted(loose)} in no class folder{table(walk)}; sort all into train/<class>/"
    names = ", ".join(map(plain, classes[:3])) + (", ..." if len(classes) > 3 else "")
    if len({found[0].lower() for name in classes if (found := _PART_IN_NAME.search(name))}) > 1:
        return (
            f"has no train/, but {names}; rename what is for training to train, with the class folders right below it"
        )
    return (
        f"has {len(classes)} folders of images ({names}) but no train/ around them; "
        "if these are the classes, "
        f"{_moving(walk.root, base, classes, (*base, 'train') in layout.folders)}"
    )


def _above_train(root: Path) -> Path | None:
    """The folder around one named train that is, or that holds, this root; None where the root is an archive."""
    folder = root.absolute()
    train = next((each for each in (folder, folder.parent) if each.name == "train"), None)
    return train.parent if train and root.is_dir() else None


def detection(layout: Layout) -> str:
    """What to tell of images/ with images beside labels/ without."""
    full = layout.folders_with_images()
    for folder in full:
        for at, name in enumerate(folder):
            labels = (*folder[:at], "labels", *folder[at + 1 :])
            if name == "images" and labels in layout.folders and labels not in full:
                return (
                    f"{plain('/'.join(folder))}/: lies beside {plain('/'.join(labels))}/, as for object detection "
                    "(YOLO), where folders don't name classes; sort the images into train/<class>/"
                )
    return ""


def meant_part(folders: Iterable[str]) -> tuple[str, str] | None:
    """The first of these folders that is named like a part but otherwise, as Training, and that part; else None."""
    return next(
        ((name, _ALIASES[name.lower()]) for name in folders if name.lower() in _ALIASES and name not in FOLDERS), None
    )


def renaming(root: Path, folders: Iterable[PathParts], needed: str = "") -> str:
    """The commands that rename folders which are meant as parts but named otherwise, as Train or training.

    Nothing where no folder is meant as the `needed` part.
    """
    found = {}
    for folder in folders:
        for at, name in enumerate(folder):
            if (meant := _ALIASES.get(name.lower())) and name not in FOLDERS:
                found[folder[: at + 1]] = (*folder[:at], meant)
    if needed and needed not in {new[-1] for new in found.values()}:
        return ""
    pairs = sorted(found.items())[:_MOST_WORDS]
    if root.is_dir():
        return " && ".join(f"mv -- {_quoted(root.joinpath(*old))} {_quoted(root.joinpath(*new))}" for old, new in pairs)
    return ", ".join(f"{plain('/'.join(old))} to {'/'.join(new)}" for old, new in pairs)


def _moving(root: Path, base: PathParts, classes: list[str], has_train: bool) -> str:
    """How to put class folders into train/, which may be there without images."""
    if not root.is_dir():
        return "unpack it, move them into a folder train, and set root to the folder that holds train"
    words = " ".join(map(_quoted, classes)) if len(classes) <= _MOST_WORDS else "*/"
    enter = "rmdir train && " if has_train else ""
    return (
        f"type: cd -- {_quoted(root.joinpath(*base))} && {enter}mkdir .train && mv -- {words} .train && mv .train train"
    )


def _quoted(path: object) -> str:
    """A path as a shell takes it, also one that can't be printed."""
    text = str(path)
    if text.isprintable():
        return shlex.quote(text)
    escaped = "".join(chr(b) if 32 <= b < 127 and chr(b) not in "\\'" else f"\\x{b:02x}" for b in os.fsencode(text))
    return f"$'{escaped}'"


def no_image(where: str, walk: Walk) -> str:
    """What to tell of a root without an image, with what was skipped there."""
    skipped = f" ({', and '.join(walk.notes)})" if walk.notes else ""
    return f"has no image below {where}{skipped}; put {NAMES} files there"


def counted(loose: dict[PathParts, Loose]) -> str:
    """How many images lie in these folders, with an example."""
    count = sum(found.count for found in loose.values())
    example = next(iter(loose.values())).example
    return f"{count:,} images, such as {example}, lie" if count > 1 else f"an image, {example}, lies"


def table(walk: Walk, part: str = "") -> str:
    """A mention of a file that may say which class each image has."""
    names = [name for name in walk.others.first if name.lower().endswith(_TABLES) and part in name]
    return f" ({names[0]} may say which class each has)" if names else ""


def _common(folders: Iterable[PathParts]) -> PathParts:
    """The folder that all these lie in."""
    levels = zip(*folders, strict=False)
    return tuple(level[0] for level in takewhile(lambda level: len(set(level)) == 1, levels))
