"""A table of the misclassified test images."""

from collections.abc import Sequence

from deepen.core.errors import unquote
from deepen.evaluation.predictions import Predictions

HEADINGS = ("image", "actual", "predicted", "probability")


def make_mistakes_table(predictions: Predictions, classes: Sequence[str]) -> list[dict[str, object]]:
    """Return a row per mistake, the most confident first: image, actual class, predicted class and probability (0-1).

    The image is named by the path of its file; a name that UTF-8 can't encode is escaped.
    """
    return [
        dict(zip(HEADINGS, cells, strict=True))
        for row in predictions.worst(len(predictions.actual)).tolist()
        for cells in [
            (
                _restore_path(predictions.name_of(row)),
                classes[predictions.actual[row]],
                classes[predictions.predicted[row]],
                round(predictions.probability[row], 6),
            )
        ]
    ]


def _restore_path(text: str) -> str:
    """Return the path of a file from its name as `quote` writes it."""
    name = unquote(text)
    try:
        name.encode()
    except UnicodeEncodeError:
        return text
    return name
