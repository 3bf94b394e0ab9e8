"""The test images that a model took for another class, as a table to look them up in."""

from collections.abc import Sequence

from deepen.core.errors import parse_plain
from deepen.evaluation.predictions import Predictions

HEADINGS = ("image", "actual", "predicted", "probability")


def mistakes_table(said: Predictions, classes: Sequence[str]) -> list[dict[str, object]]:
    """A row a mistake, the surest first: the image, its class, the one it was taken for, and its probability (0-1).

    The image's path is that of its file, so that it can be opened; what UTF-8 can't express is escaped.
    """
    return [
        dict(zip(HEADINGS, cells, strict=True))
        for row in said.worst(len(said.actual)).tolist()
        for cells in [
            (
                _openable(said.name_of(row)),
                classes[said.actual[row]],
                classes[said.predicted[row]],
                round(said.probability[row], 6),
            )
        ]
    ]


def _openable(text: str) -> str:
    """The name of a file as its folder or archive has it, of one as `plain` writes it."""
    name = parse_plain(text)
    try:
        name.encode()
    except UnicodeEncodeError:
        return text
    return name
