"""The user's own images: train/<class>/* and, if there, test/<class>/*, in a directory or an archive."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from deepen.datasets.files import Entry, read_files
from deepen.datasets.staging import Staging
from deepen.decoders import Form
from deepen.decoding import SUFFIXES
from deepen.errors import InputError, plain, some
from deepen.images import ImageSet, class_name_faults

_CLUTTER = ("thumbs.db", "desktop.ini", "__macosx")


@dataclass
class _Found:
    """What a root holds: the rows of images by class and file name, for each part; and what is wrong with the rest.

    A fault stands beside the number of images before it.
    """

    parts: dict[str, dict[str, dict[str, int]]] = field(default_factory=lambda: {"train": {}, "test": {}})
    tops: set[str] = field(default_factory=set)
    faults: list[tuple[int, str]] = field(default_factory=list)


def load_folder(root: Path, size: int | None, room: Path | None = None) -> tuple[ImageSet, ImageSet | None]:
    """Training images and, where there are any, test images.

    With a `size` every image is resized and centre-cropped to size x size pixels; without, all must have one size.
    Grey images stay one channel if all are grey. Classes and images are in the order of their names, not of the disk.
    The pixels stay in a file without a name in the folder `room`. Raises InputError with every fault.
    """
    found = _Found()
    with Staging(Form(None if size is None else (size, size)), room) as staging:
        for entry in read_files(root):
            _add(found, entry, staging)
        staging.finish()
        faults = _in_order(found.faults, staging)
        faults += _structure_faults(found, faults)
        if not faults:
            faults += _size_faults(staging.sizes)
        if faults:
            raise InputError([f"{root}: {fault}" for fault in some(faults)])
        images = staging.images()
    train, test = found.parts["train"], found.parts["test"]
    classes = tuple(sorted(train))
    return _image_set(train, classes, images), _image_set(test, classes, images) if test else None


def _structure_faults(found: _Found, before: Sequence[str]) -> list[str]:
    """What is wrong with the folders, given the faults that were found `before`."""
    train, test = found.parts["train"], found.parts["test"]
    faults = []
    if len(found.tops) > 1:
        faults.append(
            f"train/ and test/ lie below more than one folder: {', '.join(map(plain, sorted(found.tops)))}; keep one"
        )
    if not train and not before and not faults:
        faults.append("has no image below train/<class>/; put JPEG, PNG, WebP or BMP files there")
    elif len(train) == 1:
        faults.append(f"has one class only, {next(iter(train))!a}; there must be two folders or more below train/")
    faults += [
        f"{plain(f'{part}/{name}/')}: holds no image; add some or remove it"
        for part in found.parts
        for name, images in found.parts[part].items()
        if not images
    ]
    faults += [
        f"{plain(f'test/{name}/')}: is no class of train/; add {plain(f'train/{name}/')} or remove it"
        for name in sorted(test.keys() - train.keys())
        if train
    ]
    return faults + class_name_faults(sorted(train.keys() | test.keys()))


def _in_order(faults: list[tuple[int, str]], staging: Staging) -> list[str]:
    """These and those of the images, as the root has them one after the other."""
    return [fault for _, fault in sorted([*faults, *staging.faults], key=itemgetter(0))]


def _add(found: _Found, entry: Entry, staging: Staging) -> None:
    path, read = entry
    parts = _parts(path)
    if _is_clutter(parts):
        return
    is_image = path.suffix.lower() in SUFFIXES
    below = next((i for i in (0, 1) if parts[i : i + 1] and parts[i] in found.parts), None)
    if read is None:
        if below is not None and len(parts) == below + 2:
            found.parts[parts[below]].setdefault(parts[below + 1], {})
        return
    if below is None or len(parts) != below + 3:
        if is_image or below is not None:
            fault = f"{plain(path)}: lies neither in train/<class>/ nor in test/<class>/; move or remove it"
            found.faults.append((len(staging), fault))
        return
    if not is_image:
        fault = f"{plain(path)}: is no .jpg, .jpeg, .png, .webp or .bmp; convert or remove it"
        found.faults.append((len(staging), fault))
        return
    part, name, file = parts[below:]
    images = found.parts[part].setdefault(name, {})
    if file in images:
        found.faults.append((len(staging), f"{plain(path)}: occurs twice; keep one"))
        return
    found.tops.add(parts[0] if below else "")
    images[file] = staging.add(plain(path), read)


def _parts(path: PurePosixPath) -> tuple[str, ...]:
    return tuple(unicodedata.normalize("NFC", part) for part in path.parts)  # macOS stores names decomposed


def _is_clutter(parts: Sequence[str]) -> bool:
    return any(part.startswith(".") or part.lower() in _CLUTTER for part in parts)


def load_judged(root: Path, classes: Sequence[str], shape: tuple[int, int, int]) -> ImageSet:
    """Images to judge a network of these `classes` by, resized and centre-cropped to `shape` (channels, height, width).

    `root` holds <class>/* or test/<class>/*, and need not have all classes; what lies below train/ is left out.
    Raises InputError with every fault.
    """
    found: list[tuple[int, str, int]] = []  # label, file name, row
    faults: list[tuple[int, str]] = []
    with Staging(Form(shape[1:], shape[0])) as staging:
        for path, read in read_files(root):
            parts = _parts(path)
            if read is None or _is_clutter(parts) or "train" in parts[:-2]:
                continue
            if path.suffix.lower() not in SUFFIXES:
                fault = f"{plain(path)}: is no .jpg, .jpeg, .png, .webp or .bmp; convert or remove it"
                faults.append((len(staging), fault))
            elif len(parts) < 2 or parts[-2] not in classes:
                fault = (
                    f"{plain(path)}: its folder is named as none of the network's classes "
                    f"({', '.join(some(list(map(plain, classes))))}); rename or remove it"
                )
                faults.append((len(staging), fault))
            else:
                found.append((classes.index(parts[-2]), parts[-1], staging.add(plain(path), read)))
        staging.finish()
        told = _in_order(faults, staging)
        if not found and not told:
            told.append("has no image below <class>/ or test/<class>/; put JPEG, PNG, WebP or BMP files there")
        if told:
            raise InputError([f"{root}: {fault}" for fault in some(told)])
        images = staging.images()
    found.sort(key=itemgetter(0, 1))  # an archive has them in any order
    return _chosen(images, [(label, row) for label, _, row in found], tuple(classes))


def _size_faults(sizes: set[tuple[int, int]]) -> list[str]:
    if len(sizes) == 1:
        return []
    (h, w), (least_h, least_w) = max(sizes), min(sizes)
    return [
        f"has images of {len(sizes)} sizes, from {least_w}x{least_h} to {w}x{h} pixels; set size, for example size: 32"
    ]


def _image_set(part: dict[str, dict[str, int]], classes: tuple[str, ...], images: NDArray[np.uint8]) -> ImageSet:
    rows = [(label, part[name][file]) for label, name in enumerate(classes) for file in sorted(part.get(name, ()))]
    return _chosen(images, rows, classes)


def _chosen(images: NDArray[np.uint8], rows: Sequence[tuple[int, int]], classes: tuple[str, ...]) -> ImageSet:
    """The images of these labels and rows."""
    labels, chosen = np.array(rows, np.int64).reshape(-1, 2).T
    return ImageSet(images, labels.copy(), classes, chosen.astype(np.intp))
