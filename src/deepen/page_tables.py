"""The tables of the page, as text: what people read there, and what screen readers do instead of charts."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from deepen.confusion import Counts, by_class, mixups
from deepen.intervals import wilson_interval
from deepen.lineage import Row
from deepen.notation import weight_layers
from deepen.records import Record
from deepen.tables import published_top1

MOST_MIXUPS = 10
_HEADINGS = {
    "lr": "learning rate",
    "loss": "training loss",
    "val_loss": "validation loss",
    "val_top1": "validation top-1",
    "low": "at least",
    "high": "at most",
    "layers": "weight layers",
    "flops": "operations",
}


@dataclass(frozen=True)
class Table:
    """Cells of text in rows under headings; the first cell of a row names it."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


def from_frame(frame: pd.DataFrame) -> Table:
    """A data frame with headings for people and numbers to 5 digits."""
    shown = frame.map(lambda cell: f"{cell:.5g}" if isinstance(cell, float) else str(cell))
    return Table([_HEADINGS.get(str(name), str(name)) for name in shown], shown.to_numpy().tolist())


def scores(records: Sequence[Record]) -> Table:
    """A row a model: what it is, its accuracies with their intervals, and what was published where anything was."""
    rows = [_scores(record) for record in records]
    headings = list(dict.fromkeys(heading for row in rows for heading in row))
    return Table(headings, [[row.get(heading, "") for heading in headings] for row in rows])


def _scores(record: Record) -> dict[str, str]:
    row = {
        "model": record.model,
        "weight layers": str(weight_layers(record.layers)),
        "parameters": f"{record.parameters:,}",
        "epochs": str(len(record.training.epochs)),
    }
    for k, correct in enumerate(record.correct, 1):
        low, high = wilson_interval(correct, record.test_images)
        row[f"top-{k}"] = f"{record.metrics[f'top{k}']:.2f}\n{low:.2f} to {high:.2f}"
    if (published := published_top1(record)) is not None:
        row["published top-1"] = f"{published:.2f}"
    others = {"top1_single_view": "top-1 single view", "balanced_top1": "balanced top-1"}
    row |= {heading: f"{record.metrics[name]:.2f}" for name, heading in others.items() if name in record.metrics}
    return row | {"loss": f"{record.metrics['loss']:.3f}"}


def parameter_counts(rows: Sequence[Row]) -> Iterator[tuple[str, list[int]]]:
    """How many parameters of each model came how; what was dropped, where anything was."""
    for fate in ("copied", "fresh", "dropped"):
        counts = [
            sum(block.parameters for cell in column for block in cell if block.fate == fate)
            for column in zip(*(row.cells for row in rows), strict=True)
        ]
        if fate != "dropped" or any(counts):
            yield f"{fate} in all", counts


def confused(counts: Counts, classes: Sequence[str]) -> Table:
    """What was taken for another class most often."""
    rows = [
        [classes[each.actual], classes[each.predicted], f"{each.images:,}", f"{each.percent:.1f}"]
        for each in mixups(counts, len(classes))[:MOST_MIXUPS]
    ]
    return Table(["actual class", "taken for", "images", "% of the class"], rows)


def class_by_class(counts: Counts, classes: Sequence[str]) -> Table:
    """A row a class that has images: how many, which share was recognized, what it was taken for most often."""
    rows = []
    for right, worst in by_class(counts, len(classes)):
        other = [classes[worst.predicted], f"{worst.percent:.1f}"] if worst else ["", ""]
        rows.append([classes[right.actual], f"{right.of:,}", f"{right.percent:.1f}", *other])
    return Table(["class", "images", "% recognized", "most often taken for", "% of the class"], rows)


def settings(records: Sequence[Record]) -> Table:
    """A row a setting or version, a column a model."""
    columns = [dict(_made_by(record)) for record in records]
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows = [[name, *(column.get(name, "") for column in columns)] for name in names]
    return Table(["", *(record.model for record in records)], rows)


def _made_by(record: Record) -> Iterator[tuple[str, str]]:
    yield "data", record.data
    yield "image (channels, height, width)", ", ".join(map(str, record.image))
    yield "training images", f"{record.training.images:,}"
    yield "layers", record.layers
    yield "norm", record.norm
    yield "width", f"{record.width:g}"
    yield from _flat(record.training.settings)
    yield from record.training.versions.items()


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value)
