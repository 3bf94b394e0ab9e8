"""Confusion counts, from Predictions.confusion: matrix, confused classes, and accuracy per class."""

from collections.abc import Sequence
from dataclasses import dataclass

Counts = Sequence[tuple[int, int, int]]  # (actual, predicted, images), sorted; only non-zero counts


@dataclass(frozen=True)
class ConfusionCell:
    """Of the `class_size` images of class `actual`, `images` were predicted as `predicted`; classes are indices."""

    actual: int
    predicted: int
    images: int
    class_size: int

    @property
    def percent(self) -> float:
        """The share of the class, in percent."""
        return 100 * self.images / self.class_size


def count_class_images(counts: Counts, classes: int) -> list[int]:
    """Return the number of images of each class."""
    sizes = [0] * classes
    for actual, _, images in counts:
        sizes[actual] += images
    return sizes


def list_confusions(counts: Counts, classes: int) -> list[ConfusionCell]:
    """Return the pairs of confused classes, the most frequent first."""
    sizes = count_class_images(counts, classes)
    cells = [ConfusionCell(*count, sizes[count[0]]) for count in counts if count[0] != count[1]]
    return sorted(cells, key=lambda cell: (-cell.images, -cell.percent))


def summarize_classes(counts: Counts, classes: int) -> list[tuple[ConfusionCell, ConfusionCell | None]]:
    """Return, for each class with images, its correct predictions and its most frequent confusion, if any."""
    sizes = count_class_images(counts, classes)
    right = {actual: images for actual, predicted, images in counts if actual == predicted}
    worst: dict[int, ConfusionCell] = {}
    for cell in list_confusions(counts, classes):
        worst.setdefault(cell.actual, cell)
    return [
        (ConfusionCell(label, label, right.get(label, 0), size), worst.get(label))
        for label, size in enumerate(sizes)
        if size
    ]
