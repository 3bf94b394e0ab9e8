"""Stratified hold-out split, by a hash of each image's pixels: independent of path and order."""

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from deepen.core.counts import pluralize
from deepen.core.errors import InputError, trim
from deepen.data.images import ImageSet


def hold_out(images: ImageSet, fraction: float, purpose: str, keep: int = 1) -> tuple[ImageSet, ImageSet]:
    """Split images into those kept and those held out for a `purpose`: `fraction` (0-1) of each class, at least one.

    Within a class, the images with the lowest hash are held out: the choice needs no random state, is the same
    everywhere, and hardly changes when images are added. Raises InputError for a class that would keep fewer than
    `keep` images. Images are not copied.
    """
    counts = np.bincount(images.labels, minlength=len(images.classes))
    if faults := find_split_faults(dict(zip(images.classes, counts.tolist(), strict=True)), purpose, keep):
        raise InputError(trim(faults))
    held = np.zeros(len(images), dtype=bool)
    digests = hash_images(images)
    for label, count in enumerate(counts.tolist()):
        rows = np.flatnonzero(images.labels == label)
        ranked = rows[np.argsort(digests[rows], kind="stable")]
        held[ranked[: count_held_out(count, fraction, keep)]] = True
    return images.select(np.flatnonzero(~held)), images.select(np.flatnonzero(held))


def find_split_faults(counts: Mapping[str, int], purpose: str, keep: int) -> list[str]:
    """Return a fault for each class, of so many images, from which none can be held out."""
    return [
        f"class {name!r} has {pluralize(count, 'image')}, but {keep + 1} are needed to hold one out for "
        f"{purpose}; add images or remove the class"
        for name, count in counts.items()
        if count <= keep
    ]


def count_held_out(count: int, fraction: float, keep: int) -> int:
    """Return how many of the images of a class are held out."""
    return min(max(1, round(count * fraction)), count - keep)


def hash_images(images: ImageSet) -> NDArray[np.bytes_]:
    """Return a 16-byte hash of the pixels of each image, in order."""
    hashes = (
        hashlib.blake2b(image.tobytes(), digest_size=16).digest() for chunk in images.iter_chunks() for image in chunk
    )
    return np.fromiter(hashes, "S16", len(images))
