"""The user's own images: train/<class>/* and optionally val/<class>/* and test/<class>/*, in a folder or an archive."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from operator import itemgetter
from pathlib import Path

import numpy as np

from deepen.core.errors import InputError, plain, some
from deepen.data.images import ImageSet
from deepen.datasets.layout import FOLDERS, Classes, Layout
from deepen.datasets.layout_faults import class_faults, layout_faults
from deepen.datasets.parts import Parts
from deepen.datasets.staging import Staging
from deepen.datasets.walk import Walk
from deepen.decoding.workers import ImageSpec


def load_folder(root: Path, size: int | None, room: Path | None = None, entry: str = "folder") -> Parts:
    """Training images and, where there are folders of them, validation and test images.

    With a `size` every image is resized and centre-cropped to size x size pixels; without, all must have one size.
    Grey images stay one channel if all are grey. Classes and images are in the order of their names, not of the disk.
    The pixels stay in a file without a name in the folder `room`. Raises InputError with every fault.
    `entry` is the name of the data set in params.yaml.
    """
    walk, layout, names = Walk(root), Layout(), list[str]()
    with Staging(ImageSpec(None if size is None else (size, size)), room) as staging:
        for found in walk:
            if found.read is None:
                layout.add_folder(found)
            elif layout.add_image(found, len(staging)):
                names.append(plain("/".join(found.parts)))
                staging.add(plain(found.path), found.read)
        staging.finish()
        faults = walk.faults + [fault for _, fault in sorted(staging.faults, key=itemgetter(0))]
        faults += [] if walk.faults else layout_faults(layout, walk) or class_faults(layout)
        faults += [] if faults else _size_faults(staging.sizes, entry)
        if faults:
            raise InputError([f"{root}: {fault}" for fault in some(faults)])
        classes = tuple(sorted(layout.parts["train"]))
        images = ImageSet(staging.images(), NO_LABELS, classes, files=names, name=data_name(root))
    return Parts(
        {FOLDERS[name]: _part(found, images) for name, found in layout.parts.items()},
        {FOLDERS[name]: f"from {name}/" for name in layout.parts},
        (*walk.notes, *_notes(layout)),
        tuple(some(staging.notes)),
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


def _size_faults(sizes: set[tuple[int, int]], entry: str) -> list[str]:
    if len(sizes) == 1:
        return []
    (h, w), (least_h, least_w) = max(sizes), min(sizes)
    return [
        f"has images of {len(sizes)} sizes, from {least_w}x{least_h} to {w}x{h} pixels; set one for all, for example "
        f"with -S datasets.{entry}.size=64, or size: 64 below datasets.{entry} in params.yaml"
    ]


def _part(part: Classes, images: ImageSet) -> ImageSet:
    named = enumerate(images.classes)
    return chosen(images, [(label, part[name][file]) for label, name in named for file in sorted(part.get(name, ()))])


def chosen(images: ImageSet, rows: list[tuple[int, int]]) -> ImageSet:
    """Of a set without labels yet, the images of these labels and rows."""
    labels, numbers = np.array(rows, np.int64).reshape(-1, 2).T
    return replace(images, labels=labels.copy(), rows=numbers.astype(np.intp))


def data_name(root: Path) -> str:
    """What a data set is called: as its folder or archive, without what comes before or an archive's ending."""
    name = Path(os.path.abspath(root)).name
    return plain(name if root.is_dir() else _ARCHIVE.sub("", name) or name) or "folder"


_ARCHIVE = re.compile(r"\.(zip|tar|t(ar\.)?(gz|xz|bz2)|tbz)$", re.IGNORECASE)
NO_LABELS = np.zeros(0, np.int64)
