"""The tables of the page, as text: what people read there, and what screen readers do instead of charts."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deepen.evaluation.intervals import wilson_interval
from deepen.models.notation import count_weight_layers
from deepen.records.record import Record
from deepen.report.confusion import Counts, by_class, mixups
from deepen.report.lineage import Row
from deepen.report.tables import MAJORITY, Rows, majority, published_top1, unit_of

MOST_MIXUPS = 10
_HEADINGS = {
    "lr": "learning rate",
    "loss": "training loss",
    "val_loss": "validation loss",
    "val_top1": "validation top-1",
    "low": "at least",
    "high": "at most",
    "layers": "weight layers",
    "flops": "FLOP so far",
}


@dataclass(frozen=True)
class Table:
    """Cells of text in rows under headings; the first cell of a row names it."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


def from_rows(rows: Rows) -> Table:
    """Rows with headings for people and numbers to 5 digits."""
    cells = [[_cell(name, value) for name, value in row.items()] for row in rows]
    return Table([_HEADINGS.get(name, name) for name in rows[0]], cells)


def _cell(name: str, value: object) -> str:
    return f"{value:.5g}" if isinstance(value, float) or name == "flops" else str(value)


def scores(records: Sequence[Record]) -> Table:
    """A row a model, top-1 with its interval first, and last what naming always the most frequent class reaches."""
    rows = [_scores(record) for record in records]
    headings = list(dict.fromkeys(heading for row in rows for heading in row))
    guess = {_heading(name): f"{value:.2f}" for name, value in majority(records[-1]).items()}
    rows.append({"model": MAJORITY} | guess)
    return Table(headings, [[row.get(heading, "") for heading in headings] for row in rows])


def _scores(record: Record) -> dict[str, str]:
    row = {"model": record.model}
    for k, correct in enumerate(record.correct, 1):
        low, high = wilson_interval(correct, record.test_images)
        row[f"top-{k}"] = f"{record.metrics[f'top{k}']:.2f}\n{low:.2f} to {high:.2f}"
    if (published := published_top1(record)) is not None:
        row["published top-1"] = f"{published:.2f}"
    others = [name for name in ("top1_single_view", "balanced_top1") if name in record.metrics]
    row |= {_heading(name): f"{record.metrics[name]:.2f}" for name in others}
    return row | {
        "loss": f"{record.metrics['loss']:.3f}",
        "weight layers": str(count_weight_layers(record.layers)),
        "parameters": f"{record.parameters:,}",
        "epochs": str(len(record.training.epochs)),
    }


def _heading(metric: str) -> str:
    return metric.replace("top", "top-").replace("_", " ")


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


def class_by_class(records: Sequence[Record], classes: Sequence[str]) -> Table:
    """A row a class that has images, the best and the worst of the last model first, then from its best on.

    Which share of it each model recognized, the last one first, and what that took it for most often.
    """
    *before, last = (
        {right.actual: (right, worst) for right, worst in by_class(each.confusion, len(classes))} for each in records
    )
    order = sorted(last, key=lambda label: -last[label][0].percent)
    rows = []
    for label in [*order[:1], *order[-1:], *order[1:-1]][: len(order)]:
        right, worst = last[label]
        other = [classes[worst.predicted], f"{worst.percent:.1f}"] if worst else ["", ""]
        shares = [f"{found[label][0].percent:.1f}" for found in (last, *before)]
        rows.append([classes[label], *shares, f"{right.of:,}", *other])
    names = [f"{record.model}, %" for record in (records[-1], *records[:-1])]
    return Table(["class", *names, "images", "most often taken for", "% of the class"], rows)


def extremes(record: Record, classes: Sequence[str]) -> str:
    """The class that a model recognizes best and the one that it recognizes worst, in a sentence."""
    found = sorted(by_class(record.confusion, len(classes)), key=lambda each: -each[0].percent)
    (best, _), (worst, taken) = found[0], found[-1]
    if len(found) == 1:
        return f"{record.model} recognizes {best.percent:.1f} % of {best.of:,} images of {classes[best.actual]}."
    if best.percent == worst.percent:
        return f"{record.model} recognizes all classes equally often, {best.percent:.1f} % of the images of each."
    told = f", most often taken for {classes[taken.predicted]}" if taken else ""
    return (
        f"{record.model} is best at {classes[best.actual]}, {best.percent:.1f} % of {best.of:,} images, "
        f"and worst at {classes[worst.actual]}, {worst.percent:.1f} % of {worst.of:,}{told}."
    )


def settings(records: Sequence[Record]) -> Table:
    """A row a setting or version, a column a model."""
    columns = [dict(_made_by(record)) for record in records]
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows = [[name, *(column.get(name, "") for column in columns)] for name in names]
    return Table(["", *(record.model for record in records)], rows)


# Told in words, or overridden by what was used: the recipe's rates are where peak_lr comes from.
_TOLD = ("training.lr", "training.grown_lr", "training.batch_size", "peak_lr", "epochs")


def _made_by(record: Record) -> Iterator[tuple[str, str]]:
    trained = record.training
    used = dict(_flat(trained.settings))
    yield "data", record.named
    yield "image (channels, height, width)", ", ".join(map(str, record.image))
    yield "training images", f"{trained.images:,}"
    if trained.validation_images:
        yield "validation images", f"{trained.validation_images:,}"
    yield "test images", f"{record.test_images:,}" + (f", {record.test_origin}" if record.test_origin else "")
    yield "layers", record.layers
    yield "norm", record.norm
    yield "width", f"{record.width:g}"
    yield "grown from", record.after
    yield "new layers start", ", ".join(dict.fromkeys(each.start for each in record.tensors if each.start))
    if record.recipe:
        yield "recipe", record.recipe
    yield "epochs", f"{len(trained.epochs):,}"
    if batch := int(used.get("training.batch_size", 0)):
        yield "batch size", f"{min(batch, trained.images):,}"
        yield "steps", f"{trained.learned // min(batch, trained.images):,}"
    if "peak_lr" in used:
        yield "peak learning rate", used["peak_lr"]
    size, unit = unit_of(record.flops)
    yield "compute of its training", f"{record.flops / size:.3g} {unit}"
    yield from ((name, value) for name, value in used.items() if name not in _TOLD)
    yield from trained.versions.items()


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value)
