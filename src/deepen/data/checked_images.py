"""Memory-mapped images of a file, each with a CRC-32 that is verified when it is read."""

import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepen.core.checksums import ChecksumMismatch


@dataclass(frozen=True)
class CheckedFile:
    """A file of images, and the CRC-32 of each: uint32 (images,)."""

    path: Path
    crcs: NDArray[np.uint32]

    def check(self, images: NDArray[np.uint8], rows: NDArray[np.intp] | slice) -> None:
        """Raise ChecksumMismatch unless the images have the checksums of these rows."""
        if not np.array_equal(compute_crcs(images), self.crcs[rows]):
            raise ChecksumMismatch(self.path)


def compute_crcs(images: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return the CRC-32 of each image: uint32 (images,)."""
    whole = np.ascontiguousarray(images)
    return np.fromiter((zlib.crc32(image.data) for image in whole), np.uint32, len(whole))


def map_tensors(path: Path) -> dict[str, NDArray[np.uint8]]:
    """Memory-map the tensors "images" and, if present, "files" of a valid safetensors file."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        entries = json.loads(file.read(length))
    maps = {}
    for name, entry in entries.items():
        if name in ("images", "files"):
            if entry["dtype"] != "U8":
                raise ValueError(f"{name} are {entry['dtype']} {tuple(entry['shape'])}")
            offset = 8 + length + entry["data_offsets"][0]
            maps[name] = np.memmap(path, np.uint8, "r", offset, tuple(entry["shape"])).view(np.ndarray)
    return maps
