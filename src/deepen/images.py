"""ImageSet: images as uint8 with their labels and class names, saved and loaded without loss."""

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from deepen.errors import InputError
from deepen.writing import replacing

FEW = 20  # images of a class; the share of fewer that is recognized is known to 20 points at best


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images.

    `images` is uint8 (n, channels, height, width), 0-255; `labels` is int64 (n,), an index into `classes`.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one image: (channels, height, width)."""
        _, channels, height, width = self.images.shape
        return channels, height, width

    def must_be_sound(self) -> None:
        """Raise ValueError unless the shapes, types and labels are those of an image set."""
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            raise ValueError(f"images are {self.images.dtype} {self.images.shape}")
        if self.labels.dtype != np.int64 or self.labels.shape != self.images.shape[:1]:
            raise ValueError(f"labels are {self.labels.dtype} {self.labels.shape} for {len(self.images)} images")
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < len(self.classes):
            raise ValueError(
                f"labels reach from {self.labels.min()} to {self.labels.max()}, of {len(self.classes)} classes"
            )

    def take(self, rows: NDArray[np.intp]) -> "ImageSet":
        """The images of these rows, in this order."""
        return ImageSet(self.images[rows], self.labels[rows], self.classes)

    def save(self, path: Path) -> None:
        """Write a safetensors file; equal sets give equal bytes."""
        tensors: dict[str, NDArray[Any]] = {
            "images": np.ascontiguousarray(self.images),
            "labels": np.ascontiguousarray(self.labels),
        }
        with replacing(path) as temporary:
            save_file(tensors, temporary, metadata={"classes": json.dumps(self.classes)})


def load_images(path: Path) -> ImageSet:
    """Read what `ImageSet.save` wrote; raises InputError where the file is not that."""
    try:
        with safe_open(path, framework="numpy") as file:
            found = ImageSet(
                file.get_tensor("images"), file.get_tensor("labels"), tuple(json.loads(file.metadata()["classes"]))
            )
        found.must_be_sound()
        return found
    except (SafetensorError, OSError, TypeError, KeyError, ValueError) as error:
        raise _not_an_image_set(path, error) from error


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
    """Names of classes that would break a table or a line, one sentence each: names are for people to read."""
    return [
        f"class name {name!a} has a character that ends a line, turns text around, or can't be written; rename it"
        for name in names
        if any(unicodedata.category(c) in _UNFIT or unicodedata.bidirectional(c) in _TURNING for c in name)
    ]


_UNFIT = ("Cc", "Cs", "Zl", "Zp")  # control characters, halves of characters, line and paragraph separators
_TURNING = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
