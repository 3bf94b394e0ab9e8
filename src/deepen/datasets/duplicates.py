"""Find duplicate images with identical pixels: in two parts (data leakage), or in two classes."""

import numpy as np
from numpy.typing import NDArray

from deepen.data.split import hash_images
from deepen.datasets.parts import PARTS, Part, Parts

_EXAMPLES = 3
_PAIRS: tuple[tuple[Part, Part], ...] = (("test", "train"), ("test", "validation"), ("validation", "train"))


def find_duplicates(parts: Parts) -> list[str]:
    """Return a sentence for each pair of parts that share images, and one for images with two classes.

    Prepared images are compared by hashes of 16 bytes each, so that memory stays small.
    """
    hashes = {part: hash_images(parts.images[part]) for part in PARTS if part in parts.images}
    sentences = [_find_shared(parts, one, other, hashes) for one, other in _PAIRS if one in hashes and other in hashes]
    return [*filter(None, sentences), *_find_two_labels(parts, hashes)]


def _find_shared(parts: Parts, one: Part, other: Part, hashes: dict[Part, NDArray[np.bytes_]]) -> str:
    ours, theirs = hashes[one], hashes[other]
    shared = np.flatnonzero(np.isin(ours, theirs))
    if not len(shared):
        return ""
    pairs = [(row, np.flatnonzero(theirs == ours[row])[0]) for row in shared[:_EXAMPLES]]
    examples = ", ".join(f"{_name_image(parts, one, a)} = {_name_image(parts, other, b)}" for a, b in pairs)
    count = f"{len(shared):,} {one} image{'s are' if len(shared) > 1 else ' is'}"
    return f"{count} also in {other} (identical pixels), so accuracy is overestimated: {examples}"


def _find_two_labels(parts: Parts, hashes: dict[Part, NDArray[np.bytes_]]) -> list[str]:
    every = np.concatenate(list(hashes.values()))
    labels = np.concatenate([parts.images[part].labels for part in hashes])
    order = np.lexsort((labels, every))  # equal images are adjacent, sorted by class
    same = every[order[1:]] == every[order[:-1]]
    at = np.flatnonzero(same & (labels[order[1:]] != labels[order[:-1]]))
    at = at[np.argsort(order[at])]
    count = len(np.unique(every[order[at]]))
    if not count:
        return []

    def name(row: int) -> str:
        for part, hashed in hashes.items():
            if row < len(hashed):
                return _name_image(parts, part, row)
            row -= len(hashed)
        raise IndexError(row)

    examples = ", ".join(f"{name(order[i])} = {name(order[i + 1])}" for i in at[:_EXAMPLES].tolist())
    return [f"{count:,} image{'s have' if count > 1 else ' has'} two classes (identical pixels): {examples}"]


def _name_image(parts: Parts, part: Part, row: int) -> str:
    """Return the path of an image or, if it is not a file, its row and class."""
    images = parts.images[part]
    return images.get_file_name(row) or f"{part} image {row} ({images.classes[images.labels[row]]})"
