"""The user's own images: train/<class>/* and, if there, test/<class>/*, in a directory or an archive."""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from deepen.datasets.files import Entry, read_files
from deepen.decoding import SUFFIXES, Pixels, UnreadableImage, decode, planes
from deepen.errors import InputError, plain, some
from deepen.images import ImageSet, class_name_faults

_CLUTTER = ("thumbs.db", "desktop.ini", "__macosx")


@dataclass
class _Found:
    """What a root holds: pixels by class and file name, for each part; and what is wrong with the rest."""

    parts: dict[str, dict[str, dict[str, Pixels]]] = field(default_factory=lambda: {"train": {}, "test": {}})
    tops: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)


def load_folder(root: Path, size: int | None) -> tuple[ImageSet, ImageSet | None]:
    """Training images and, where there are any, test images.

    With a `size` every image is resized and centre-cropped to size x size pixels; without, all must have one size.
    Grey images stay one channel if all are grey. Classes and images are in the order of their names, not of the disk.
    Raises InputError with every fault.
    """
    found = _Found()
    for entry in read_files(root):
        _add(found, entry, size)
    train, test = found.parts["train"], found.parts["test"]
    faults = found.faults
    if len(found.tops) > 1:
        faults.append(
            f"train/ and test/ lie below more than one folder: {', '.join(map(plain, sorted(found.tops)))}; keep one"
        )
    if not train and not faults:
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
    faults += class_name_faults(sorted(train.keys() | test.keys()))
    if not faults:
        faults += _size_faults(train, test)
    if faults:
        raise InputError([f"{root}: {fault}" for fault in some(faults)])
    classes = tuple(sorted(train))
    grey = all(pixels.ndim == 2 for part in (train, test) for images in part.values() for pixels in images.values())
    return _image_set(train, classes, grey), _image_set(test, classes, grey) if test else None


def _add(found: _Found, entry: Entry, size: int | None) -> None:
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
            found.faults.append(
                f"{plain(path)}: lies neither in train/<class>/ nor in test/<class>/; move or remove it"
            )
        return
    if not is_image:
        found.faults.append(f"{plain(path)}: is no .jpg, .jpeg, .png, .webp or .bmp; convert or remove it")
        return
    part, name, file = parts[below:]
    images = found.parts[part].setdefault(name, {})
    if file in images:
        found.faults.append(f"{plain(path)}: occurs twice; keep one")
        return
    found.tops.add(parts[0] if below else "")
    try:
        images[file] = _pixels(path, read, None if size is None else (size, size))
    except UnreadableImage as error:
        images[file] = np.empty((0, 0), np.uint8)
        found.faults.append(str(error))


def _parts(path: PurePosixPath) -> tuple[str, ...]:
    return tuple(unicodedata.normalize("NFC", part) for part in path.parts)  # macOS stores names decomposed


def _is_clutter(parts: Sequence[str]) -> bool:
    return any(part.startswith(".") or part.lower() in _CLUTTER for part in parts)


def _pixels(
    path: PurePosixPath, read: Callable[[], bytes], size: tuple[int, int] | None, channels: int | None = None
) -> Pixels:
    try:
        return decode(read(), size, channels)
    except InputError:  # of the archive, not of this image
        raise
    except (OSError, ValueError) as error:
        raise UnreadableImage(f"{plain(path)}: can't be read as an image ({error}); replace or remove it") from error


def load_judged(root: Path, classes: Sequence[str], shape: tuple[int, int, int]) -> ImageSet:
    """Images to judge a network of these `classes` by, resized and centre-cropped to `shape` (channels, height, width).

    `root` holds <class>/* or test/<class>/*, and need not have all classes; what lies below train/ is left out.
    Raises InputError with every fault.
    """
    rows: list[tuple[int, str, Pixels]] = []
    faults: list[str] = []
    for path, read in read_files(root):
        parts = _parts(path)
        if read is None or _is_clutter(parts) or "train" in parts[:-2]:
            continue
        if path.suffix.lower() not in SUFFIXES:
            faults.append(f"{plain(path)}: is no .jpg, .jpeg, .png, .webp or .bmp; convert or remove it")
        elif len(parts) < 2 or parts[-2] not in classes:
            faults.append(
                f"{plain(path)}: its folder is named as none of the network's classes "
                f"({', '.join(some(list(map(plain, classes))))}); rename or remove it"
            )
        else:
            try:
                rows.append((classes.index(parts[-2]), parts[-1], _pixels(path, read, shape[1:], shape[0])))
            except UnreadableImage as error:
                faults.append(str(error))
    if not rows and not faults:
        faults.append("has no image below <class>/ or test/<class>/; put JPEG, PNG, WebP or BMP files there")
    if faults:
        raise InputError([f"{root}: {fault}" for fault in some(faults)])
    rows.sort(key=lambda row: row[:2])  # an archive has them in any order
    return _stacked([(label, pixels) for label, _, pixels in rows], tuple(classes), shape[0])


def _size_faults(*parts: dict[str, dict[str, Pixels]]) -> list[str]:
    shapes = {pixels.shape[:2] for part in parts for images in part.values() for pixels in images.values()}
    if len(shapes) == 1:
        return []
    (h, w), (least_h, least_w) = max(shapes), min(shapes)
    return [
        f"has images of {len(shapes)} sizes, from {least_w}x{least_h} to {w}x{h} pixels; set size, for example size: 32"
    ]


def _image_set(part: dict[str, dict[str, Pixels]], classes: tuple[str, ...], grey: bool) -> ImageSet:
    rows = [(label, part[name][file]) for label, name in enumerate(classes) for file in sorted(part.get(name, ()))]
    return _stacked(rows, classes, 1 if grey else 3)


def _stacked(rows: Sequence[tuple[int, Pixels]], classes: tuple[str, ...], channels: int) -> ImageSet:
    images = np.empty((len(rows), channels, *rows[0][1].shape[:2]), np.uint8)
    for row, (_, pixels) in zip(images, rows, strict=True):
        row[:] = planes(pixels)
    return ImageSet(images, np.array([label for label, _ in rows], np.int64), classes)
