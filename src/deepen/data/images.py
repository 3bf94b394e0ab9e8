"""ImageSet: images as uint8 with their labels and class names, saved without loss and loaded as a map of their file."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from deepen.core.checksums import ChecksumMismatch, checksum
from deepen.core.dvc_cache import how_to_repair
from deepen.core.errors import InputError
from deepen.core.files import replacing
from deepen.data.checked_images import CheckedFile, crcs_of, mapped
from deepen.data.file_names import FileNames, as_block

FEW = 20  # images of a class; the share of fewer that is recognized is known to 20 points at best
_PART_BYTES = 1 << 24  # of the images that are in memory at once while a set is gone through


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images, in memory or in a file that is mapped and read as it is looked at.

    `stored` is uint8 (n, channels, height, width), 0-255; the set has those of its images that `rows`, where given,
    name, in their order. `labels` is int64 (images,), an index into `classes`. `origin` says where the images came
    from, `notes` what people should know of them, `name` what the data set is called. `files` has, by row of what is
    stored, the path of each image below the root of the data; it is empty where images are not files. Images of a
    `file` are held to its checksums as they are read, and so are names.
    """

    stored: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    rows: NDArray[np.intp] | None = None
    origin: str = ""
    notes: tuple[str, ...] = ()
    file: CheckedFile | None = None
    files: Sequence[str] = ()
    name: str = ""

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
        if self.rows is not None:
            return self.batch(slice(None))
        if self.file is not None:
            for _ in self.parts():  # which reads them, and so holds them to their checksums
                pass
        return self.stored

    def batch(self, rows: NDArray[np.intp] | slice) -> NDArray[np.uint8]:
        """Images by their numbers in the set, (batch, channels, height, width).

        Raises ChecksumMismatch where they are not those that were written to their file.
        """
        chosen = rows if self.rows is None else self.rows[rows]
        images = self.stored[chosen]
        if self.file is not None:
            self.file.check(images, chosen)
        return images

    def file_of(self, row: int) -> str:
        """The path of an image, by its number in the set, below the root of the data; empty where it is no file."""
        if not len(self.files):
            return ""
        return self.files[row if self.rows is None else int(self.rows[row])]

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
        if len(self.files) not in (0, len(self.stored)):
            raise ValueError(f"{len(self.files)} files are named for {len(self.stored)} images")

    def take(self, rows: NDArray[np.intp]) -> "ImageSet":
        """The images of these rows, in this order; none is copied before it is asked for."""
        return replace(self, labels=self.labels[rows], rows=rows if self.rows is None else self.rows[rows])

    def save(self, path: Path) -> None:
        """Write a safetensors file, some images at a time; equal sets give equal bytes.

        It has a CRC-32 of each image, a SHA-256 of the files' names, and one of all else.
        """
        names = as_block(map(self.file_of, range(len(self)))) if len(self.files) else None
        crcs = np.zeros(len(self), "<u4")
        with replacing(path) as temporary, temporary.open("wb") as file:
            file.write(_head(self, crcs, names))
            file.write(names or b"")
            start = 0
            for part in self.parts():
                crcs[start : start + len(part)] = crcs_of(part)
                start += len(part)
                file.write(np.ascontiguousarray(part).data)
            file.seek(0)
            file.write(_head(self, crcs, names))


def _head(images: ImageSet, crcs: NDArray[np.uint32], names: bytearray | None) -> bytes:
    """All of the file but names and pixels, as long whatever the CRCs are.

    A safetensors file opens with a length and JSON, with blanks up to a multiple of 8 bytes.
    """
    tables = images.labels.astype("<i8").tobytes() + crcs.tobytes()
    count, after_labels, after_crcs = len(images), 8 * len(images), len(tables)
    before_images = after_crcs + len(names or b"")
    shape = [count, *images.shape]
    told = {each: getattr(images, each) for each in _TOLD} | {"files": None if names is None else checksum("", [names])}
    told["sha256"] = checksum(_covered(shape, told), [tables])
    entries = {
        "__metadata__": {_KEY: json.dumps(told)},
        "labels": {"dtype": "I64", "shape": [count], "data_offsets": [0, after_labels]},
        "crcs": {"dtype": "U32", "shape": [count], "data_offsets": [after_labels, after_crcs]},
    }
    if names is not None:
        entries["files"] = {"dtype": "U8", "shape": [len(names)], "data_offsets": [after_crcs, before_images]}
    end = before_images + math.prod(shape)
    entries["images"] = {"dtype": "U8", "shape": shape, "data_offsets": [before_images, end]}
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + tables


_KEY = "deepen-images"  # one key only: the library writes several in no fixed order
_TOLD = ("classes", "origin", "notes", "name")


def _covered(shape: Sequence[int], told: dict[str, Any]) -> str:
    """What the SHA-256 covers besides the tables."""
    return json.dumps([list(shape), *(told[each] for each in (*_TOLD, "files"))])


def load_images(path: Path) -> ImageSet:
    """Map what `ImageSet.save` wrote, to be read only, each image held to its checksum as it is read.

    Raises InputError where the file is something else, ChecksumMismatch where it has changed.
    """
    try:
        with safe_open(path, framework="numpy") as file:  # holds the header to its rules, and to the file's length
            labels, crcs, told = file.get_tensor("labels"), file.get_tensor("crcs"), json.loads(file.metadata()[_KEY])
        maps = mapped(path)
        text, expected = _covered(maps["images"].shape, told), told["sha256"]
        found = ImageSet(
            maps["images"],
            labels,
            tuple(told["classes"]),
            origin=told["origin"],
            notes=tuple(told["notes"]),
            file=CheckedFile(path, crcs),
            files=_names(path, maps, len(labels), told["files"]),
            name=told["name"],
        )
        found.must_be_sound()
    except (SafetensorError, OSError, TypeError, KeyError, ValueError) as error:
        raise _not_an_image_set(path, error) from error
    if checksum(text, [labels.astype("<i8").tobytes(), crcs.astype("<u4").tobytes()]) != expected:
        raise ChecksumMismatch(path)
    return found


def _names(path: Path, maps: dict[str, NDArray[np.uint8]], count: int, expected: str | None) -> Sequence[str]:
    """The files' names, none of which is read before it is asked for."""

    def check(block: NDArray[np.uint8], lines: int) -> None:
        if lines != count or checksum("", [block]) != expected:
            raise ChecksumMismatch(path)

    return FileNames(maps["files"], count, check) if expected is not None else ()


def _not_an_image_set(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: is not an image set of this project ({error}); {how_to_repair(path)}")
