"""Images that a data set has more than once, by their pixels: in two parts, or under two classes."""

import numpy as np
from numpy.typing import NDArray

from deepen.data.split import hash_images
from deepen.datasets.parts import PARTS, Part, Parts

_EXAMPLES = 3
_PAIRS: tuple[tuple[Part, Part], ...] = (("test", "train"), ("test", "validation"), ("validation", "train"))


def repeats(parts: Parts) -> list[str]:
    """A sentence for each two parts that have images in common, and one for images that have two classes.

    Images are compared as they were prepared, by hashes of 16 bytes each, which are all that memory holds of them.
    """
    hashes = {part: hash_images(parts.images[part]) for part in PARTS if part in parts.images}
    told = [_in_both(parts, one, other, hashes) for one, other in _PAIRS if one in hashes and other in hashes]
    return [*filter(None, told), *_under_two_classes(parts, hashes)]


def _in_both(parts: Parts, one: Part, other: Part, hashes: dict[Part, NDArray[np.bytes_]]) -> str:
    ours, theirs = hashes[one], hashes[other]
    shared = np.flatnonzero(np.isin(ours, theirs))
    if not len(shared):
        return ""
    pairs = [(row, np.flatnonzero(theirs == ours[row])[0]) for row in shared[:_EXAMPLES]]
    examples = ", ".join(f"{_name(parts, one, a)} = {_name(parts, other, b)}" for a, b in pairs)
    count = f"{len(shared):,} {one} image{'s are' if len(shared) > 1 else ' is'}"
    return f"{count} also in {other}, pixel by pixel, so that accuracy looks better than it is: {examples}"


def _under_two_classes(parts: Parts, hashes: dict[Part, NDArray[np.bytes_]]) -> list[str]:
    every = np.concatenate(list(hashes.values()))
    labels = np.concatenate([parts.images[part].labels for part in hashes])
    order = np.lexsort((labels, every))  # equal images side by side, in the order of their classes
    same = every[order[1:]] == every[order[:-1]]
    at = np.flatnonzero(same & (labels[order[1:]] != labels[order[:-1]]))
    at = at[np.argsort(order[at])]
    count = len(np.unique(every[order[at]]))
    if not count:
        return []

    def name(row: int) -> str:
        for part, found in hashes.items():
            if row < len(found):
                return _name(parts, part, row)
            row -= len(found)
        raise IndexError(row)

    examples = ", ".join(f"{name(order[i])} = {name(order[i + 1])}" for i in at[:_EXAMPLES].tolist())
    return [f"{count:,} image{'s lie' if count > 1 else ' lies'} under two classes, pixel by pixel: {examples}"]


def _name(parts: Parts, part: Part, row: int) -> str:
    """What an image of a part is called: its path or, where it is no file, its number and class."""
    images = parts.images[part]
    return images.get_file_name(row) or f"{part} image {row} ({images.classes[images.labels[row]]})"
