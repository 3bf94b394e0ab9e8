"""The tables of the page as text, also for screen readers in place of the charts."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deepen.models.notation import count_weight_layers
from deepen.records.ladder import MissingModel, draw_models
from deepen.records.record import Record
from deepen.report.confusion import Counts, list_confusions, summarize_classes
from deepen.report.lineage import Row
from deepen.report.stops import format_epochs
from deepen.report.tables import (
    MAJORITY,
    Rows,
    choose_unit,
    compute_majority_metrics,
    find_published_top1,
    format_heading,
    format_interval,
)

_MOST_CONFUSIONS = 10
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
    """A table of text cells; the first cell of a row is its heading."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


def make_table(rows: Rows) -> Table:
    """Make a table with readable headings, and numbers to 5 digits."""
    cells = [[_format_cell(name, value) for name, value in row.items()] for row in rows]
    return Table([_HEADINGS.get(name, name) for name in rows[0]], cells)


def _format_cell(name: str, value: object) -> str:
    return f"{value:.5g}" if isinstance(value, float) or name == "flops" else str(value)


def make_scores_table(records: Sequence[Record], missing: Sequence[MissingModel] = ()) -> Table:
    """Make a row per model, with top-1 and its interval first, and a last row for the majority class.

    The intervals of the other accuracies are among the numbers of the chart over depth: the table fits a window.
    """
    headings = list(dict.fromkeys(heading for record in records for heading in _make_scores(record)))
    rows = [
        _make_scores(each) if isinstance(each, Record) else _make_missing_row(each)
        for _, each in draw_models(records, missing)
    ]
    baseline = {format_heading(name): f"{value:.2f}" for name, value in compute_majority_metrics(records[-1]).items()}
    rows.append({"model": MAJORITY} | baseline)
    return Table(headings, [[row.get(heading, "") for heading in headings] for row in rows])


def _make_missing_row(model: MissingModel) -> dict[str, str]:
    return {"model": model.model, "top-1": model.state, "weight layers": model.weight_layers}


def _make_scores(record: Record) -> dict[str, str]:
    row = {"model": record.model}
    row |= {f"top-{k}": f"{record.metrics[f'top{k}']:.2f}" for k in range(1, len(record.correct) + 1)}
    row["top-1"] += f"\n{format_interval(record)}"
    if (published := find_published_top1(record)) is not None:
        row["published top-1"] = f"{published:.2f}"
    others = [name for name in ("top1_single_view", "balanced_top1") if name in record.metrics]
    row |= {format_heading(name): f"{record.metrics[name]:.2f}" for name in others}
    return row | {
        "loss": f"{record.metrics['loss']:.3f}",
        "weight layers": str(count_weight_layers(record.layers)),
        "parameters": f"{record.parameters:,}",
        "epochs": format_epochs(record.training),
    }


def count_parameters_by_kind(rows: Sequence[Row]) -> Iterator[tuple[str, list[int]]]:
    """Yield the numbers of copied, fresh and, if any, dropped parameters of each model."""
    for kind in ("copied", "fresh", "dropped"):
        counts = [
            sum(block.parameters for cell in column for block in cell if block.kind == kind)
            for column in zip(*(row.cells for row in rows), strict=True)
        ]
        if kind != "dropped" or any(counts):
            yield f"{kind} in all", counts


def make_confusion_table(counts: Counts, classes: Sequence[str]) -> Table:
    """Make a table of the classes that were confused most often."""
    rows = [
        [classes[each.actual], classes[each.predicted], f"{each.images:,}", f"{each.percent:.1f}"]
        for each in list_confusions(counts, len(classes))[:_MOST_CONFUSIONS]
    ]
    return Table(["actual class", "predicted as", "images", "% of the class"], rows)


def make_class_table(records: Sequence[Record], classes: Sequence[str]) -> Table:
    """Make a row per class with images, with the accuracy of each model and the most frequent confusion of the last.

    The last model's best and worst classes come first, then the others by its accuracy. Its column is the first.
    """
    *before, last = (
        {right.actual: (right, worst) for right, worst in summarize_classes(each.confusion, len(classes))}
        for each in records
    )
    order = sorted(last, key=lambda label: -last[label][0].percent)
    rows = []
    for label in [*order[:1], *order[-1:], *order[1:-1]][: len(order)]:
        right, worst = last[label]
        confusion = [classes[worst.predicted], f"{worst.percent:.1f}"] if worst else ["", ""]
        accuracies = [f"{by_label[label][0].percent:.1f}" for by_label in (last, *before)]
        rows.append([classes[label], *accuracies, f"{right.class_size:,}", *confusion])
    names = [f"{record.model}, %" for record in (records[-1], *records[:-1])]
    return Table(["class", *names, "images", "most often predicted as", "% of the class"], rows)


def describe_extremes(record: Record, classes: Sequence[str]) -> str:
    """Return a sentence on the classes with the highest and the lowest accuracy."""
    ranked = sorted(summarize_classes(record.confusion, len(classes)), key=lambda each: -each[0].percent)
    (best, _), (worst, confusion) = ranked[0], ranked[-1]
    if len(ranked) == 1:
        return (
            f"{record.model} recognizes {best.percent:.1f} % of {best.class_size:,} images of {classes[best.actual]}."
        )
    if best.percent == worst.percent:
        return f"{record.model} recognizes all classes equally often, {best.percent:.1f} % of the images of each."
    suffix = f", most often predicted as {classes[confusion.predicted]}" if confusion else ""
    return (
        f"{record.model} is best at {classes[best.actual]}, {best.percent:.1f} % of {best.class_size:,} images, "
        f"and worst at {classes[worst.actual]}, {worst.percent:.1f} % of {worst.class_size:,}{suffix}."
    )


def make_settings_table(records: Sequence[Record]) -> Table:
    """Make a row per setting or version, and a column per model."""
    columns = [dict(_iter_settings(record)) for record in records]
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows = [[name, *(column.get(name, "") for column in columns)] for name in names]
    return Table(["", *(record.model for record in records)], rows)


# Listed in words, or overridden by the value used: peak_lr is derived from the recipe's learning rates.
_OMITTED = ("training.lr", "training.grown_lr", "training.batch_size", "peak_lr", "epochs")


def _iter_settings(record: Record) -> Iterator[tuple[str, str]]:
    trained = record.training
    used = dict(_flatten(trained.settings))
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
    yield "epochs", format_epochs(trained)
    if batch := int(used.get("training.batch_size", 0)):
        yield "batch size", f"{min(batch, trained.images):,}"
        yield "steps", f"{trained.learned // min(batch, trained.images):,}"
    if "peak_lr" in used:
        yield "peak learning rate", used["peak_lr"]
    size, unit = choose_unit(record.flops)
    yield "compute of its training", f"{record.flops / size:.3g} {unit}"
    yield from ((name, value) for name, value in used.items() if name not in _OMITTED)
    yield from trained.versions.items()


def _flatten(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value)
