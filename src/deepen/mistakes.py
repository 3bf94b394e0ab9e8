"""The test images that a model took for another class, as a table to look them up in."""

from collections.abc import Sequence

import pandas as pd

from deepen.predictions import Predictions


def mistakes_table(said: Predictions, classes: Sequence[str]) -> pd.DataFrame:
    """A row a mistake, the surest first: the image, its class, the one it was taken for, and its probability (0-1)."""
    rows = said.worst(len(said.actual)).tolist()
    return pd.DataFrame(
        {
            "image": [said.name_of(row) for row in rows],
            "actual": [classes[said.actual[row]] for row in rows],
            "predicted": [classes[said.predicted[row]] for row in rows],
            "probability": [round(said.probability[row], 6) for row in rows],
        }
    )
