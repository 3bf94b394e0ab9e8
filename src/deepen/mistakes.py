"""The test images that a model took for another class, as a table to look them up in."""

from collections.abc import Sequence

from deepen.predictions import Predictions

HEADINGS = ("image", "actual", "predicted", "probability")


def mistakes_table(said: Predictions, classes: Sequence[str]) -> list[dict[str, object]]:
    """A row a mistake, the surest first: the image, its class, the one it was taken for, and its probability (0-1)."""
    return [
        dict(zip(HEADINGS, cells, strict=True))
        for row in said.worst(len(said.actual)).tolist()
        for cells in [
            (
                said.name_of(row),
                classes[said.actual[row]],
                classes[said.predicted[row]],
                round(said.probability[row], 6),
            )
        ]
    ]
