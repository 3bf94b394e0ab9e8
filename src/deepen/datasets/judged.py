"""Load labelled images to evaluate a network on: <class>/*, a part such as test/<class>/*, or those of a table."""

from collections.abc import Sequence
from itertools import pairwise
from operator import itemgetter
from pathlib import Path

from deepen.core.errors import InputError, quote, trim
from deepen.core.notes import print_warnings
from deepen.data.images import ImageSet
from deepen.datasets.image_sets import NO_LABELS, LabelledImages, data_name, select_labelled
from deepen.datasets.part_chooser import PartChooser
from deepen.datasets.staging import Staging
from deepen.datasets.tables.choice import TableChoice
from deepen.datasets.tables.files import describe_unused, find_table_faults
from deepen.datasets.tables.judged import load_judged_listed
from deepen.datasets.walk import METADATA, PathParts, Walk
from deepen.decoding.workers import ImageSpec

_Shape = tuple[int, int, int]


def load_judged(
    root: Path, classes: Sequence[str], shape: _Shape, part: str | None = None, choice: TableChoice | None = None
) -> LabelledImages:
    """Load images labelled with these `classes`, resized and centre-cropped to `shape` (channels, height, width).

    `root` holds <class>/*, or parts such as train/<class>/* and test/<class>/*, of which `part` is used, by default
    test; or the classes are in the table of `choice`, or in metadata.csv. Classes may be missing. Raises InputError
    with every fault.
    """
    choice = choice or TableChoice()
    if choice.table is None and (found := _load_folders(root, classes, shape, part, choice)) is not None:
        return found
    return load_judged_listed(root, classes, shape, part, choice)


def _load_folders(
    root: Path, classes: Sequence[str], shape: _Shape, part: str | None, choice: TableChoice
) -> LabelledImages | None:
    """Load images from folders; return None if they are not in class folders, but in metadata.csv."""
    walk, chooser = Walk(root, METADATA), PartChooser(classes, part)
    taken: list[tuple[int, PathParts, int]] = []  # label, path, number
    files: list[str] = []
    with Staging(ImageSpec(shape[1:], shape[0])) as staging:
        for entry in walk:
            label = None if entry.read is None else chooser.find_label(entry)
            if entry.read is not None and label is not None:
                files.append(quote("/".join(entry.parts)))
                taken.append((label, entry.parts, staging.add(quote(entry.path), entry.read)))
        staging.finish()
        layout_faults = [] if walk.faults else chooser.find_faults(walk) + _hidden_faults(walk, classes)
        if layout_faults and walk.tables:
            if not (table_faults := find_table_faults(choice, walk)):
                return None
            layout_faults += table_faults
        print_warnings([*describe_unused(choice, walk), *staging.notes])
        faults = walk.faults + [fault for _, fault in sorted(staging.faults, key=itemgetter(0))] + layout_faults
        faults += _find_repeated(taken)
        if faults:
            raise InputError([f"{root}: {fault}" for fault in trim(faults)])
        images = ImageSet(staging.images(), NO_LABELS, tuple(classes), files=files, name=data_name(root))
    judged = select_labelled(images, [(label, number) for label, _, number in taken])
    return LabelledImages(judged, chooser.part, walk.notes)


def _find_repeated(taken: list[tuple[int, PathParts, int]]) -> list[str]:
    """Sort images by class and path, since archives are not sorted; return a fault for each path that repeats."""
    taken.sort(key=itemgetter(0, 1))
    repeated = (one for (_, one, _), (_, other, _) in pairwise(taken) if one == other)
    return [f"{quote('/'.join(path))}: occurs twice; keep one" for path in repeated]


def _hidden_faults(walk: Walk, classes: Sequence[str]) -> list[str]:
    return [
        f"{quote('/'.join(folder))}/: is named like a class, but names that start with a dot are ignored; "
        "rename the folder and the class"
        for folder in sorted(walk.hidden_folders)
        if folder[-1] in classes
    ]
