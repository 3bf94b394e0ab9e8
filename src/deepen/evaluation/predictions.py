"""What a model said of each test image: which class, how sure it was, and where it was wrong."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepen.core.checksums import read_checked_json, write_checked_json
from deepen.core.dvc_cache import how_to_repair
from deepen.core.errors import InputError


@dataclass(frozen=True)
class Predictions:
    """A row an image, in the order of the test images: its class, the one it was taken for, and how probable that was.

    Classes are indices; `probability` is a fraction; `weights` is the checksum of the weights that said so; `files` has
    the path of each image below the root of the data, and is empty where images are not files.
    """

    actual: list[int]
    predicted: list[int]
    probability: list[float]
    weights: str = ""
    files: list[str] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Write JSON on one line."""
        write_checked_json(path, asdict(self), indent=None)

    def name_of(self, row: int) -> str:
        """What the image of a row is called: its path or, where it is not a file, its row, counted from 0."""
        return self.files[row] if self.files else f"test image {row}"

    def recall(self) -> dict[int, tuple[int, int]]:
        """Of each class that has images: how many were recognized, of how many."""
        actual, right = np.array(self.actual), self.right()
        return {
            int(label): (int(right[actual == label].sum()), int((actual == label).sum())) for label in np.unique(actual)
        }

    def right(self) -> NDArray[np.bool_]:
        """Of each image, whether it was recognized: bool (images,)."""
        return np.equal(self.actual, self.predicted)

    def confusion(self) -> list[tuple[int, int, int]]:
        """How many images of a class were taken for a class, as (actual, predicted, images), where there are any."""
        counted = Counter(zip(self.actual, self.predicted, strict=True))
        return [(*pair, images) for pair, images in sorted(counted.items())]

    def balanced(self) -> float:
        """Top-1 in percent where each class counts the same, however many images it has: the mean of the recalls."""
        shares = [recognized / images for recognized, images in self.recall().values()]
        return 100 * sum(shares) / len(shares)

    def worst(self, most: int) -> NDArray[np.intp]:
        """The rows that were wrong, those with the highest probability first, at most so many."""
        wrong = np.flatnonzero(~self.right())
        return wrong[np.argsort(-np.array(self.probability)[wrong], kind="stable")][:most]


def load_predictions(path: Path) -> Predictions:
    """Read what `Predictions.save` wrote; raises InputError where the file is not that."""
    found = read_checked_json(path, Predictions)
    named = len(found.files) in (0, len(found.actual))
    if not named or not len(found.actual) == len(found.predicted) == len(found.probability):
        raise InputError(f"{path}: its lists differ in length; {how_to_repair(path)}")
    return found
