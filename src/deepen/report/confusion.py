"""Which class is taken for which: tables from counts as Predictions.confusion gives them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = Sequence[tuple[int, int, int]]  # (actual, predicted, images), sorted, only where there are any


@dataclass(frozen=True)
class Mixup:
    """Of the `of` images of class `actual`, `images` were taken for class `predicted`; classes are indices."""

    actual: int
    predicted: int
    images: int
    of: int

    @property
    def percent(self) -> float:
        return 100 * self.images / self.of


def class_sizes(counts: Counts, classes: int) -> list[int]:
    """How many images each class has."""
    sizes = [0] * classes
    for actual, _, images in counts:
        sizes[actual] += images
    return sizes


def matrix(counts: Counts, classes: int) -> NDArray[np.int64]:
    """(classes, classes): a row an actual class, a column a predicted one."""
    found = np.zeros((classes, classes), dtype=np.int64)
    for actual, predicted, images in counts:
        found[actual, predicted] = images
    return found


def mixups(counts: Counts, classes: int) -> list[Mixup]:
    """What was taken for another class, what happened most often first."""
    sizes = class_sizes(counts, classes)
    found = [Mixup(*count, sizes[count[0]]) for count in counts if count[0] != count[1]]
    return sorted(found, key=lambda mixup: (-mixup.images, -mixup.percent))


def by_class(counts: Counts, classes: int) -> list[tuple[Mixup, Mixup | None]]:
    """Of each class that has images, what was recognized, and what it was taken for most often, if for any."""
    sizes = class_sizes(counts, classes)
    right = {actual: images for actual, predicted, images in counts if actual == predicted}
    worst: dict[int, Mixup] = {}
    for mixup in mixups(counts, classes):
        worst.setdefault(mixup.actual, mixup)
    return [
        (Mixup(label, label, right.get(label, 0), size), worst.get(label)) for label, size in enumerate(sizes) if size
    ]
