"""Held-out images: stratified by class, and chosen by what an image is, not by where it lies or in which order."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from deepen.core.counts import counted
from deepen.core.errors import InputError, some
from deepen.data.images import ImageSet


def hold_out(images: ImageSet, fraction: float, what: str, keep: int = 1) -> tuple[ImageSet, ImageSet]:
    """Part images into those kept and those held out for `what`: `fraction` (0-1) of each class, at least one image.

    Within a class the images whose pixels hash lowest are held out: the choice needs no random state, stays the same
    wherever it is made, and images added later hardly change it. Raises InputError for a class that can't leave
    `keep` images besides. Neither part is copied.
    """
    counts = np.bincount(images.labels, minlength=len(images.classes))
    faults = [
        f"class {name!r} has {counted(count, 'image')}, but {keep + 1} are needed to hold one out for {what}; "
        "add images or remove the class"
        for name, count in zip(images.classes, counts.tolist(), strict=True)
        if count <= keep
    ]
    if faults:
        raise InputError(some(faults))
    held = np.zeros(len(images), dtype=bool)
    digests = hash_images(images)
    for label, count in enumerate(counts.tolist()):
        rows = np.flatnonzero(images.labels == label)
        ranked = rows[np.argsort(digests[rows], kind="stable")]
        held[ranked[: min(max(1, round(count * fraction)), count - keep)]] = True
    return images.take(np.flatnonzero(~held)), images.take(np.flatnonzero(held))


def hash_images(images: ImageSet) -> NDArray[np.bytes_]:
    """A hash of 16 bytes of the pixels of each image, in order: equal images have equal ones."""
    hashes = (hashlib.blake2b(image.tobytes(), digest_size=16).digest() for part in images.parts() for image in part)
    return np.fromiter(hashes, "S16", len(images))
