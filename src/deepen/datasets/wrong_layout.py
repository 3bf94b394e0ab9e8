"""Recognize common layouts other than train/<class>/*, and suggest the commands that fix them."""

import re
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path

from deepen.core.errors import quote, trim
from deepen.core.shell import quote_path
from deepen.datasets.layout import FOLDERS, PART_ALIASES, Layout, Loose
from deepen.datasets.walk import PathParts, Walk
from deepen.decoding.formats import NAMES

_PART_IN_NAME = re.compile(r"(?<![a-z])(train|training|test|testing|val|valid|validation)(?![a-z])", re.IGNORECASE)
_TABLES = (".xlsx", ".json", ".txt", ".xml")  # which may list the class of each image, but can't be read
_MOST_WORDS = 10  # folders named in a command


def describe_missing_train(layout: Layout, walk: Walk, labels: str) -> str:
    """Return the fault of a root in which no train/ has images; `labels` is the setting that names a table."""
    loose = layout.loose_in(None)
    if not loose:
        return describe_no_images("train/<class>/", walk)
    if rename := suggest_renames(walk.root, loose, "train"):
        return f"has no train/, but similar folder names; rename: {rename}"
    if (above := find_parent_of_train(walk.root)) is not None:
        return f"is, or is inside, a folder named train; if that contains the classes, set root to {quote_path(above)}"
    base = find_common_folder(loose)
    classes = sorted({folder[len(base)] for folder in loose if len(folder) > len(base)})
    if base in loose or len(classes) < 2:
        where = quote("/".join(base)) + "/: " if base else ""
        told = f"{describe_images(loose)} in no class folder{mention_table(walk, labels)}"
        return f"{where}{told}; move them into train/<class>/"
    names = ", ".join(map(quote, classes[:3])) + (", ..." if len(classes) > 3 else "")
    if resemble_parts(classes):
        return (
            f"has no train/, but {names}; rename the training folder to train, with the class folders directly below it"
        )
    return (
        f"has {len(classes)} folders of images ({names}) but no train/; "
        "if these are the classes, "
        f"{_suggest_moves(walk.root, base, classes, [name for name in FOLDERS if (*base, name) in layout.folders])}"
    )


def resemble_parts(names: Iterable[str]) -> bool:
    """Return whether folders are named after different parts, such as seg_train and seg_test."""
    return len({match[0].lower() for name in names if (match := _PART_IN_NAME.search(name))}) > 1


def find_parent_of_train(root: Path) -> Path | None:
    """Return the parent of a folder train that is, or contains, this root; None if the root is an archive."""
    folder = root.absolute()
    train = next((each for each in (folder, folder.parent) if each.name == "train"), None)
    return train.parent if train and root.is_dir() else None


def describe_detection_layout(layout: Layout) -> str:
    """Return the fault of an object detection layout, images/ beside labels/; "" for other layouts."""
    full = layout.folders_with_images()
    for folder in full:
        for at, name in enumerate(folder):
            labels = (*folder[:at], "labels", *folder[at + 1 :])
            if name == "images" and labels in layout.folders and labels not in full:
                return (
                    f"{quote('/'.join(folder))}/: is beside {quote('/'.join(labels))}/, as for object detection "
                    "(YOLO), where folders are not classes; move the images into train/<class>/"
                )
    return ""


def find_misnamed_part(folders: Iterable[str]) -> tuple[str, str] | None:
    """Return the first folder with a name similar to a part, such as Training, and that part; else None."""
    return next(
        (
            (name, PART_ALIASES[name.lower()])
            for name in folders
            if name.lower() in PART_ALIASES and name not in FOLDERS
        ),
        None,
    )


def suggest_renames(root: Path, folders: Iterable[PathParts], needed: str = "") -> str:
    """Return commands that rename folders with names similar to parts, such as Train or training.

    Returns "" if no folder resembles the `needed` part.
    """
    renames = {}
    for folder in folders:
        for at, name in enumerate(folder):
            if (part := PART_ALIASES.get(name.lower())) and name not in FOLDERS:
                renames[folder[: at + 1]] = (*folder[:at], part)
    if needed and needed not in {new[-1] for new in renames.values()}:
        return ""
    pairs = sorted(renames.items())[:_MOST_WORDS]
    if root.is_dir():
        return " && ".join(
            f"mv -- {quote_path(root.joinpath(*old))} {quote_path(root.joinpath(*new))}" for old, new in pairs
        )
    return ", ".join(f"{quote('/'.join(old))} to {'/'.join(new)}" for old, new in pairs)


def _suggest_moves(root: Path, base: PathParts, classes: list[str], parts: list[str]) -> str:
    """Return how to move class folders into train/; `parts` are the folders train, val and test beside them."""
    if not root.is_dir():
        return "unpack it, move them into a folder train, and set root to the folder that contains train"
    enter = f"cd -- {quote_path(root.joinpath(*base))} && {'rmdir train && ' * ('train' in parts)}mkdir .train"
    move = f"mv -- {' '.join(map(quote_path, classes)) if len(classes) <= _MOST_WORDS else '*/'} .train"
    if len(classes) > _MOST_WORDS and (kept := [part for part in parts if part != "train"]):
        skipped = "".join(f" ! -name {name}" for name in (".train", *kept))
        move = f"find . -mindepth 1 -maxdepth 1 -type d{skipped} -exec mv {{}} .train \\;"
    return f"type: {enter} && {move} && mv .train train"


def describe_no_images(where: str, walk: Walk) -> str:
    """Return the fault of a root without images, with the files that were skipped."""
    skipped = f" ({', and '.join(walk.notes)})" if walk.notes else ""
    return f"no images found in {where}{skipped}; add {NAMES} files"


def describe_images(loose: dict[PathParts, Loose]) -> str:
    """Return the number of images in these folders, with an example."""
    count = sum(images.count for images in loose.values())
    example = next(iter(loose.values())).example
    return f"{count:,} images, such as {example}, are" if count > 1 else f"an image, {example}, is"


def mention_table(walk: Walk, labels: str, part: str = "") -> str:
    """Return a hint at a table file that may list the class of each image; "" if there is none."""
    if tables := [quote(name) for name in walk.readable if part in name]:
        subject = tables[0] if len(tables) == 1 else f"one of {', '.join(trim(tables, 3))}"
        return f" (if {subject} lists their classes, add {labels}={quote_path(tables[0])})"
    names = [name for name in walk.others.first if name.lower().endswith(_TABLES) and part in name]
    return f" ({names[0]} may list their classes)" if names else ""


def find_common_folder(folders: Iterable[PathParts]) -> PathParts:
    """Return the deepest folder that contains all of these."""
    levels = zip(*folders, strict=False)
    return tuple(level[0] for level in takewhile(lambda level: len(set(level)) == 1, levels))
