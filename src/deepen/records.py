"""What is known of each model of a ladder once it is evaluated, handed on from model to model."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from deepen.reading import read_json
from deepen.writing import write_json


@dataclass(frozen=True)
class Record:
    """One evaluated model.

    `data` is the name of the data set, `source` where its images come from; `test_images` is how many the metrics are
    over; `metrics` is what metrics/<model>.json holds; `history` has a row an epoch with the fields of training.Epoch.
    """

    model: str
    after: str
    layers: str
    width: float
    parameters: int
    epochs: int
    data: str
    source: str
    test_images: int
    metrics: dict[str, float]
    history: list[dict[str, Any]]


def save_records(path: Path, records: Sequence[Record]) -> None:
    """Write the records of a model and of all it grew from, shallowest first, as JSON."""
    write_json(path, [asdict(record) for record in records])


def load_records(path: Path) -> list[Record]:
    """Read what `save_records` wrote; raises InputError where the file is not that."""
    return read_json(path, list[Record])
