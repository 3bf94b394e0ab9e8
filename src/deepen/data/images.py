"""ImageSet: uint8 images with labels and class names, saved as safetensors and loaded by memory-mapping."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from deepen.core.checksums import ChecksumMismatch, compute_checksum
from deepen.core.dvc_cache import suggest_repair
from deepen.core.errors import InputError
from deepen.core.files import write_atomically
from deepen.core.wording import describe_cause
from deepen.data.checked_images import CheckedFile, compute_crcs, map_tensors
from deepen.data.file_names import FileNames, encode_names

FEW = 20  # images of a class; the accuracy on fewer is known to 20 points at best
_CHUNK_BYTES = 1 << 24  # of a chunk of images


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images, in memory or memory-mapped.

    `stored` is uint8 (n, channels, height, width), 0-255; with `rows`, the set has only these rows, in this order.
    `labels` is int64 (images,), an index into `classes`. `origin` is the source of the images, `notes` are warnings
    about them, `name` is that of the data set. `files` has the path of each stored image relative to the root of the
    data; it is empty if images are not files. Images and names of a `file` are verified against its checksums when
    they are read.
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
        """The shape of an image: (channels, height, width)."""
        _, channels, height, width = self.stored.shape
        return channels, height, width

    @property
    def images(self) -> NDArray[np.uint8]:
        """All images, (images, channels, height, width): a copy in memory if the set has `rows`."""
        if self.rows is not None:
            return self.batch(slice(None))
        if self.file is not None:
            for _ in self.iter_chunks():  # reads all images, and so verifies their checksums
                pass
        return self.stored

    def batch(self, rows: NDArray[np.intp] | slice) -> NDArray[np.uint8]:
        """Return images by their indices in the set, (batch, channels, height, width).

        Raises ChecksumMismatch if they differ from what was written to their file.
        """
        chosen = rows if self.rows is None else self.rows[rows]
        images = self.stored[chosen]
        if self.file is not None:
            self.file.check(images, chosen)
        return images

    def get_file_name(self, row: int) -> str:
        """Return the path of an image, by its index in the set, relative to the root of the data; empty if unknown."""
        if not len(self.files):
            return ""
        return self.files[row if self.rows is None else int(self.rows[row])]

    def iter_chunks(self) -> Iterator[NDArray[np.uint8]]:
        """Yield all images in order, in chunks of some megabytes."""
        step = max(1, _CHUNK_BYTES // max(1, math.prod(self.shape)))
        return (self.batch(slice(start, start + step)) for start in range(0, len(self), step))

    def validate(self) -> None:
        """Raise ValueError unless shapes, dtypes and labels are valid."""
        if self.stored.dtype != np.uint8 or self.stored.ndim != 4:
            raise ValueError(f"images are {self.stored.dtype} {self.stored.shape}")
        if self.labels.dtype != np.int64 or self.labels.shape != self.stored.shape[:1]:
            raise ValueError(f"labels are {self.labels.dtype} {self.labels.shape} for {len(self.stored)} images")
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < len(self.classes):
            raise ValueError(
                f"labels range from {self.labels.min()} to {self.labels.max()}, with {len(self.classes)} classes"
            )
        if len(self.files) not in (0, len(self.stored)):
            raise ValueError(f"{len(self.files)} file names for {len(self.stored)} images")

    def select(self, rows: NDArray[np.intp]) -> "ImageSet":
        """Return the set of these rows, in this order; images are not copied until they are read."""
        return replace(self, labels=self.labels[rows], rows=rows if self.rows is None else self.rows[rows])

    def save(self, path: Path) -> None:
        """Write a safetensors file in chunks; equal sets give equal bytes.

        It has a CRC-32 of each image, a SHA-256 of the file names, and one of all other content.
        """
        names = encode_names(map(self.get_file_name, range(len(self)))) if len(self.files) else None
        crcs = np.zeros(len(self), "<u4")
        with write_atomically(path) as temporary, temporary.open("wb") as file:
            file.write(_encode_header(self, crcs, names))
            file.write(names or b"")
            start = 0
            for chunk in self.iter_chunks():
                crcs[start : start + len(chunk)] = compute_crcs(chunk)
                start += len(chunk)
                file.write(np.ascontiguousarray(chunk).data)
            file.seek(0)
            file.write(_encode_header(self, crcs, names))


def _encode_header(images: ImageSet, crcs: NDArray[np.uint32], names: bytearray | None) -> bytes:
    """Encode the file up to the names and pixels; its length does not depend on the CRCs.

    A safetensors file starts with a length and JSON, padded with spaces to a multiple of 8 bytes.
    """
    tables = images.labels.astype("<i8").tobytes() + crcs.tobytes()
    count, after_labels, after_crcs = len(images), 8 * len(images), len(tables)
    before_images = after_crcs + len(names or b"")
    shape = [count, *images.shape]
    metadata = {key: getattr(images, key) for key in _METADATA} | {
        "files": None if names is None else compute_checksum("", [names])
    }
    metadata["sha256"] = compute_checksum(_encode_checked(shape, metadata), [tables])
    entries = {
        "__metadata__": {_KEY: json.dumps(metadata)},
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


_KEY = "deepen-images"  # a single key: safetensors writes several in random order
_METADATA = ("classes", "origin", "notes", "name")


def _encode_checked(shape: Sequence[int], metadata: dict[str, Any]) -> str:
    """Encode the content that the SHA-256 covers besides the tables."""
    return json.dumps([list(shape), *(metadata[key] for key in (*_METADATA, "files"))])


def load_images(path: Path) -> ImageSet:
    """Memory-map a file of `ImageSet.save`, read-only; the checksum of each image is verified when it is read.

    Raises InputError if the file is invalid, ChecksumMismatch if it has changed.
    """
    try:
        with safe_open(path, framework="numpy") as file:  # validates the header and the file's length
            labels, crcs = file.get_tensor("labels"), file.get_tensor("crcs")
            metadata = json.loads(file.metadata()[_KEY])
        maps = map_tensors(path)
        text, expected = _encode_checked(maps["images"].shape, metadata), metadata["sha256"]
        images = ImageSet(
            maps["images"],
            labels,
            tuple(metadata["classes"]),
            origin=metadata["origin"],
            notes=tuple(metadata["notes"]),
            file=CheckedFile(path, crcs),
            files=_read_names(path, maps, len(labels), metadata["files"]),
            name=metadata["name"],
        )
        images.validate()
    except (SafetensorError, OSError, TypeError, KeyError, ValueError) as error:
        raise _make_format_error(path, error) from error
    if compute_checksum(text, [labels.astype("<i8").tobytes(), crcs.astype("<u4").tobytes()]) != expected:
        raise ChecksumMismatch(path)
    return images


def _read_names(path: Path, maps: dict[str, NDArray[np.uint8]], count: int, expected: str | None) -> Sequence[str]:
    """Return the file names, which are read lazily."""

    def check(block: NDArray[np.uint8], lines: int) -> None:
        if lines != count or compute_checksum("", [block]) != expected:
            raise ChecksumMismatch(path)

    return FileNames(maps["files"], count, check) if expected is not None else ()


def _make_format_error(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: invalid image set ({describe_cause(error)}); {suggest_repair(path)}")
