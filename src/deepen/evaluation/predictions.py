"""Per-image predictions and confidences, and the recall, confusion and mistakes they give."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepen.core.checksums import read_checked_json, write_checked_json
from deepen.core.dvc_cache import suggest_repair
from deepen.core.errors import InputError


@dataclass(frozen=True)
class Predictions:
    """One row for each test image, in order: its class, the predicted class, and the probability of that.

    Classes are indices; `probability` is 0-1; `weights` is the checksum of the weights; `files` has the path of each
    image below the root of the data, and is empty if images are not files.
    """

    actual: list[int]
    predicted: list[int]
    probability: list[float]
    weights: str = ""
    files: list[str] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Write the predictions as JSON on one line."""
        write_checked_json(path, asdict(self), indent=None)

    def name_of(self, row: int) -> str:
        """Return the path of an image or, if it is not a file, its row, counted from 0."""
        return self.files[row] if self.files else f"test image {row}"

    def recall(self) -> dict[int, tuple[int, int]]:
        """Return for each class with images how many were classified correctly, and how many there are."""
        actual, right = np.array(self.actual), self.right()
        return {
            int(label): (int(right[actual == label].sum()), int((actual == label).sum())) for label in np.unique(actual)
        }

    def right(self) -> NDArray[np.bool_]:
        """Return whether each image was classified correctly: bool (images,)."""
        return np.equal(self.actual, self.predicted)

    def confusion(self) -> list[tuple[int, int, int]]:
        """Return the nonzero entries of the confusion matrix as (actual, predicted, images)."""
        counts = Counter(zip(self.actual, self.predicted, strict=True))
        return [(*pair, images) for pair, images in sorted(counts.items())]

    def balanced(self) -> float:
        """Return the balanced top-1 accuracy in percent: the mean of the recalls of all classes."""
        shares = [recognized / images for recognized, images in self.recall().values()]
        return 100 * sum(shares) / len(shares)

    def worst(self, most: int) -> NDArray[np.intp]:
        """Return the rows of the `most` most confident mistakes, highest probability first."""
        wrong = np.flatnonzero(~self.right())
        return wrong[np.argsort(-np.array(self.probability)[wrong], kind="stable")][:most]


def load_predictions(path: Path) -> Predictions:
    """Read a file of `Predictions.save`; raises InputError if it is invalid."""
    predictions = read_checked_json(path, Predictions)
    rows = len(predictions.actual)
    if not rows == len(predictions.predicted) == len(predictions.probability) or len(predictions.files) not in (
        0,
        rows,
    ):
        raise InputError(f"{path}: its lists differ in length; {suggest_repair(path)}")
    return predictions
