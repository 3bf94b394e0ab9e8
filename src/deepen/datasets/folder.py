"""The user's own images: train/<class>/* and optionally val/<class>/* and test/<class>/*, in a folder or an archive."""

from collections.abc import Iterable, Iterator
from operator import itemgetter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepen.datasets.layout import FOLDERS, Classes, Layout
from deepen.datasets.layout_faults import class_faults, layout_faults
from deepen.datasets.parts import Parts
from deepen.datasets.staging import Staging
from deepen.datasets.walk import Walk
from deepen.decoders import Form
from deepen.errors import InputError, plain, some
from deepen.images import ImageSet


def load_folder(root: Path, size: int | None, room: Path | None = None) -> Parts:
    """Training images and, where there are folders of them, validation and test images.

    With a `size` every image is resized and centre-cropped to size x size pixels; without, all must have one size.
    Grey images stay one channel if all are grey. Classes and images are in the order of their names, not of the disk.
    The pixels stay in a file without a name in the folder `room`. Raises InputError with every fault.
    """
    walk, layout, names = Walk(root), Layout(), list[str]()
    with Staging(Form(None if size is None else (size, size)), room) as staging:
        for found in walk:
            if found.read is None:
                layout.add_folder(found)
            elif layout.add_image(found, len(staging)):
                names.append(plain(found.path))
                staging.add(names[-1], found.read)
        staging.finish()
        faults = walk.faults + [fault for _, fault in sorted(staging.faults, key=itemgetter(0))]
        faults += [] if walk.faults else layout_faults(layout, walk) or class_faults(layout)
        faults += [] if faults else _size_faults(staging.sizes)
        if faults:
            raise InputError([f"{root}: {fault}" for fault in some(faults)])
        images = staging.images()
    return _parts(layout, images, names, walk)


def _parts(layout: Layout, images: NDArray[np.uint8], names: list[str], walk: Walk) -> Parts:
    classes = tuple(sorted(layout.parts["train"]))
    return Parts(
        {FOLDERS[name]: _image_set(found, classes, images) for name, found in layout.parts.items()},
        {FOLDERS[name]: f"from {name}/" for name in layout.parts},
        names,
        (*walk.notes, *_notes(layout)),
    )


def _notes(layout: Layout) -> Iterator[str]:
    """What is worth telling of classes: those that a part lacks, and folders in a class that are named as others."""
    train = layout.parts["train"]
    for part, classes in layout.parts.items():
        if missing := sorted(train.keys() - classes.keys()):
            yield f"{part}/ has no image of {len(missing)} of {len(train)} classes: {_listed(missing)}"
        for name, images in classes.items():
            inside = {folder for file in images for folder in file.split("/")[:-1] if folder in train} - {name}
            if inside:
                folder = plain(f"{part}/{name}/")
                yield f"{folder} has folders named as other classes, which count as {plain(name)}: {_listed(inside)}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(plain, some(sorted(names), 3)))


def _size_faults(sizes: set[tuple[int, int]]) -> list[str]:
    if len(sizes) == 1:
        return []
    (h, w), (least_h, least_w) = max(sizes), min(sizes)
    return [
        f"has images of {len(sizes)} sizes, from {least_w}x{least_h} to {w}x{h} pixels; set size, for example size: 32"
    ]


def _image_set(part: Classes, classes: tuple[str, ...], images: NDArray[np.uint8]) -> ImageSet:
    rows = [(label, part[name][file]) for label, name in enumerate(classes) for file in sorted(part.get(name, ()))]
    return chosen(images, rows, classes)


def chosen(images: NDArray[np.uint8], rows: list[tuple[int, int]], classes: tuple[str, ...]) -> ImageSet:
    """The images of these labels and rows."""
    labels, numbers = np.array(rows, np.int64).reshape(-1, 2).T
    return ImageSet(images, labels.copy(), classes, numbers.astype(np.intp))
