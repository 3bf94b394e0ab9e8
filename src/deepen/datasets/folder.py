"""The user's own images: train/<class>/* and, if there, test/<class>/*, in a directory or an archive."""

import io
import struct
import unicodedata
import warnings
import zlib
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from deepen.datasets.files import Entry, read_files
from deepen.errors import InputError, plain, some
from deepen.images import ImageSet, class_name_faults

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
_MOST_PIXELS = 1 << 27  # of one image before it is decoded: a phone's 108 megapixels, and no bomb
_CLUTTER = ("thumbs.db", "desktop.ini", "__macosx")
Pixels = NDArray[np.uint8]  # (height, width) where grey, else (height, width, 3)


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
    parts = tuple(unicodedata.normalize("NFC", part) for part in path.parts)  # macOS stores names decomposed
    if any(part.startswith(".") or part.lower() in _CLUTTER for part in parts):
        return
    is_image = path.suffix.lower() in _SUFFIXES
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
        images[file] = decode(read(), size)
    except InputError:  # of the archive, not of this image
        raise
    except _UNREADABLE as error:
        images[file] = np.empty((0, 0), np.uint8)
        found.faults.append(f"{plain(path)}: can't be read as an image ({_reason(path, error)}); replace or remove it")


# Pillow's readers raise all of these for damaged files.
_UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    MemoryError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def _reason(path: PurePosixPath, error: BaseException) -> str:
    if isinstance(error, UnidentifiedImageError):
        return f"no {path.suffix[1:].upper()}, nor any other of {', '.join(_FORMATS)}"
    return str(error) or type(error).__name__


def decode(content: bytes, size: int | None) -> Pixels:
    """An image file's pixels, uint8: (height, width) where it is grey, else (height, width, 3).

    It is turned upright as its EXIF says; what is transparent becomes white; of several frames the first counts.
    Raises ValueError, before it is decoded, where it has more than 2**27 pixels.
    """
    with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(content), formats=_FORMATS) as file:
        if file.width * file.height > _MOST_PIXELS:
            raise ValueError(f"it has {file.width * file.height:,} pixels, at most {_MOST_PIXELS:,} are taken")
        image = ImageOps.exif_transpose(file)
        if image.mode.startswith("I;16") or image.mode == "I":  # 16 bits a pixel, which convert() would clip
            image = Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8))
        elif image.has_transparency_data:
            white = Image.new("RGBA", image.size, "white")
            grey = image.mode in ("LA", "La", "L", "1")
            image = Image.alpha_composite(white, image.convert("RGBA")).convert("L" if grey else "RGB")
        elif image.mode not in ("L", "RGB"):
            image = image.convert("L" if image.mode == "1" else "RGB")
        if size is not None and image.size != (size, size):
            image = ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)
        return np.asarray(image)


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
    images = np.empty((len(rows), 1 if grey else 3, *rows[0][1].shape[:2]), np.uint8)
    for row, (_, pixels) in zip(images, rows, strict=True):
        row[:] = pixels if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
    return ImageSet(images, np.array([label for label, _ in rows], np.int64), classes)
