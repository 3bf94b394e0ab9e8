"""Load images from a folder or archive with train/<class>/* and optionally val/<class>/* and test/<class>/*."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from operator import itemgetter
from pathlib import Path

import numpy as np

from deepen.core.errors import InputError, quote, trim
from deepen.data.images import ImageSet
from deepen.datasets.layout import FOLDERS, Classes, Layout
from deepen.datasets.layout_faults import class_faults, layout_faults
from deepen.datasets.parts import Parts
from deepen.datasets.staging import Staging
from deepen.datasets.walk import Walk
from deepen.decoding.workers import ImageSpec


def load_folder(root: Path, size: int | None, temp_dir: Path | None = None, dataset: str = "folder") -> Parts:
    """Load training images and, if their folders exist, validation and test images.

    With a `size` every image is resized and centre-cropped to size x size pixels; without, all must have the same size.
    If all images are greyscale, they have one channel. Classes and images are sorted by name. The pixels are kept in an
    unnamed file in `temp_dir`. `dataset` is its name in params.yaml. Raises InputError with every fault.
    """
    walk, layout, names = Walk(root), Layout(), list[str]()
    with Staging(ImageSpec(None if size is None else (size, size)), temp_dir) as staging:
        for entry in walk:
            if entry.read is None:
                layout.add_folder(entry)
            elif layout.add_image(entry, len(staging)):
                names.append(quote("/".join(entry.parts)))
                staging.add(quote(entry.path), entry.read)
        staging.finish()
        faults = walk.faults + [fault for _, fault in sorted(staging.faults, key=itemgetter(0))]
        faults += [] if walk.faults else layout_faults(layout, walk) or class_faults(layout)
        faults += [] if faults else _size_faults(staging.sizes, dataset)
        if faults:
            raise InputError([f"{root}: {fault}" for fault in trim(faults)])
        classes = tuple(sorted(layout.parts["train"]))
        images = ImageSet(staging.images(), NO_LABELS, classes, files=names, name=data_name(root))
    return Parts(
        {FOLDERS[name]: _select_part(classes_of_part, images) for name, classes_of_part in layout.parts.items()},
        {FOLDERS[name]: f"from {name}/" for name in layout.parts},
        (*walk.notes, *_class_notes(layout)),
        tuple(trim(staging.notes)),
    )


def _class_notes(layout: Layout) -> Iterator[str]:
    """Yield notes on classes that a part lacks, and on folders inside a class that are named like other classes."""
    train = layout.parts["train"]
    for part, classes in layout.parts.items():
        if missing := sorted(train.keys() - classes.keys()):
            yield f"{part}/ has no images of {len(missing)} of {len(train)} classes: {_list_names(missing)}"
        for name, images in classes.items():
            inside = {folder for file in images for folder in file.split("/")[:-1] if folder in train} - {name}
            if inside:
                folder = quote(f"{part}/{name}/")
                yield f"{folder} has folders named like other classes, counted as {quote(name)}: {_list_names(inside)}"


def _list_names(names: Iterable[str]) -> str:
    return ", ".join(map(quote, trim(sorted(names), 3)))


def _size_faults(sizes: set[tuple[int, int]], entry: str) -> list[str]:
    if len(sizes) == 1:
        return []
    (h, w), (least_h, least_w) = max(sizes), min(sizes)
    return [
        f"has images of {len(sizes)} sizes, from {least_w}x{least_h} to {w}x{h} pixels; set one for all, for example "
        f"with -S datasets.{entry}.size=64, or size: 64 below datasets.{entry} in params.yaml"
    ]


def _select_part(part: Classes, images: ImageSet) -> ImageSet:
    labels = enumerate(images.classes)
    return select_labelled(
        images, [(label, part[name][file]) for label, name in labels for file in sorted(part.get(name, ()))]
    )


def select_labelled(images: ImageSet, rows: list[tuple[int, int]]) -> ImageSet:
    """Select rows of a set without labels: each of `rows` is (label, row)."""
    labels, numbers = np.array(rows, np.int64).reshape(-1, 2).T
    return replace(images, labels=labels.copy(), rows=numbers.astype(np.intp))


def data_name(root: Path) -> str:
    """Return the name of a data set: that of its folder, or of its archive without the extension."""
    name = Path(os.path.abspath(root)).name
    return quote(name if root.is_dir() else _ARCHIVE.sub("", name) or name) or "folder"


_ARCHIVE = re.compile(r"\.(zip|tar|t(ar\.)?(gz|xz|bz2)|tbz)$", re.IGNORECASE)
NO_LABELS = np.zeros(0, np.int64)
