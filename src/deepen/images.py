"""ImageSet: images as uint8 with their labels and class names, saved without loss and loaded as a map of their file."""

import json
import math
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from deepen.errors import InputError
from deepen.writing import replacing

FEW = 20  # images of a class; the share of fewer that is recognized is known to 20 points at best
_PART_BYTES = 1 << 24  # of the images that are in memory at once while a set is gone through


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images, in memory or in a file that is mapped and read as it is looked at.

    `stored` is uint8 (n, channels, height, width), 0-255; the set has those of its images that `rows`, where given,
    name, in their order. `labels` is int64 (images,), an index into `classes`.
    """

    stored: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    rows: NDArray[np.intp] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one image: (channels, height, width)."""
        _, channels, height, width = self.stored.shape
        return channels, height, width

    @property
    def images(self) -> NDArray[np.uint8]:
        """All of them, (images, channels, height, width): a copy in memory where the set has `rows`."""
        return self.stored if self.rows is None else self.stored[self.rows]

    def batch(self, rows: NDArray[np.intp] | slice) -> NDArray[np.uint8]:
        """Images by their numbers in the set, (batch, channels, height, width)."""
        return self.stored[rows if self.rows is None else self.rows[rows]]

    def parts(self) -> Iterator[NDArray[np.uint8]]:
        """All images in their order, some megabytes at a time."""
        step = max(1, _PART_BYTES // max(1, math.prod(self.shape)))
        return (self.batch(slice(start, start + step)) for start in range(0, len(self), step))

    def must_be_sound(self) -> None:
        """Raise ValueError unless the shapes, types and labels are those of an image set."""
        if self.stored.dtype != np.uint8 or self.stored.ndim != 4:
            raise ValueError(f"images are {self.stored.dtype} {self.stored.shape}")
        if self.labels.dtype != np.int64 or self.labels.shape != self.stored.shape[:1]:
            raise ValueError(f"labels are {self.labels.dtype} {self.labels.shape} for {len(self.stored)} images")
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < len(self.classes):
            raise ValueError(
                f"labels reach from {self.labels.min()} to {self.labels.max()}, of {len(self.classes)} classes"
            )

    def take(self, rows: NDArray[np.intp]) -> "ImageSet":
        """The images of these rows, in this order; none is copied before it is asked for."""
        return ImageSet(self.stored, self.labels[rows], self.classes, rows if self.rows is None else self.rows[rows])

    def save(self, path: Path) -> None:
        """Write a safetensors file, some images at a time; equal sets give equal bytes, those of the library itself."""
        with replacing(path) as temporary, temporary.open("wb") as file:
            file.write(_header(self))
            file.write(self.labels.astype("<i8").tobytes())
            for part in self.parts():
                file.write(np.ascontiguousarray(part).data)


def _header(images: ImageSet) -> bytes:
    """What a safetensors file opens with: a length, JSON in the library's order, blanks up to a multiple of 8 bytes."""
    after_labels = 8 * len(images)
    after_images = after_labels + len(images) * math.prod(images.shape)
    shape = [len(images), *images.shape]
    entries = {
        "__metadata__": {"classes": json.dumps(images.classes)},
        "labels": {"dtype": "I64", "shape": shape[:1], "data_offsets": [0, after_labels]},
        "images": {"dtype": "U8", "shape": shape, "data_offsets": [after_labels, after_images]},
    }
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def load_images(path: Path) -> ImageSet:
    """Map what `ImageSet.save` wrote, to be read only; raises InputError where the file is not that."""
    try:
        with safe_open(path, framework="numpy") as file:  # holds the header to its rules, and to the file's length
            found = ImageSet(_mapped(path), file.get_tensor("labels"), tuple(json.loads(file.metadata()["classes"])))
        found.must_be_sound()
        return found
    except (SafetensorError, OSError, TypeError, KeyError, ValueError) as error:
        raise _not_an_image_set(path, error) from error


def _mapped(path: Path) -> NDArray[np.uint8]:
    """The tensor "images" of a sound safetensors file."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        entry = json.loads(file.read(length))["images"]
    if entry["dtype"] != "U8":
        raise ValueError(f"images are {entry['dtype']} {tuple(entry['shape'])}")
    offset = 8 + length + entry["data_offsets"][0]
    return np.memmap(path, np.uint8, "r", offset, tuple(entry["shape"])).view(np.ndarray)


def describe_images(path: Path) -> tuple[tuple[int, int, int], tuple[str, ...]]:
    """The shape (channels, height, width) of one image and the class names, read from the file's header alone."""
    try:
        with safe_open(path, framework="numpy") as file:
            _, channels, height, width = file.get_slice("images").get_shape()
            return (channels, height, width), tuple(json.loads(file.metadata()["classes"]))
    except (SafetensorError, OSError, TypeError, KeyError, ValueError) as error:
        raise _not_an_image_set(path, error) from error


def _not_an_image_set(path: Path, error: Exception) -> InputError:
    return InputError(f"{path} is no image set of this project ({error}); make it again: dvc repro prepare")


def small_classes(images: ImageSet, least: int) -> dict[str, int]:
    """How many images each class has, of those that have fewer than `least`."""
    counts = np.bincount(images.labels, minlength=len(images.classes)).tolist()
    return {name: count for name, count in zip(images.classes, counts, strict=True) if count < least}


def class_name_faults(names: Sequence[str]) -> list[str]:
    """Names of classes that can't be told apart or break a line, one sentence each: names are for people to read."""
    faults = [f"class name {name!a} {fault}; rename it" for name in names if (fault := _class_name_fault(name))]
    repeated = {name: count for name, count in Counter(names).items() if count > 1}
    return faults + [
        f"class name {name!a} is that of {count} classes; rename all but one" for name, count in repeated.items()
    ]


def _class_name_fault(name: str) -> str | None:
    if any(unicodedata.category(c) in _UNFIT or unicodedata.bidirectional(c) in _TURNING for c in name):
        return "has a character that ends a line, turns text around, or can't be written"
    if name != name.strip():
        return "begins or ends with a blank"
    if not name:
        return "is empty"
    return None


_UNFIT = ("Cc", "Cs", "Zl", "Zp")  # control characters, halves of characters, line and paragraph separators
_TURNING = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
