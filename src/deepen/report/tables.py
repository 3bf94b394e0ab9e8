"""The tables of a ladder: one row a model, beside the published numbers where there are any."""

import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tabulate import tabulate

from deepen.core.counts import counted
from deepen.evaluation.intervals import wilson_interval
from deepen.models.notation import count_weight_layers
from deepen.records.record import Record
from deepen.report.confusion import class_sizes
from deepen.report.gains import describe_gains

Rows = list[dict[str, Any]]  # a table: each row's cells by their heading

# CIFAR-10 top-1 in percent by layers, of full-width networks: Jian Zhong, "Implement and train VGG in PyTorch",
# jianzhongdev.github.io/VisionTechInsights/posts/implement_train_vgg_pytorch. Its schedule looked at the test images.
PUBLISHED_TOP1 = {
    "conv3-128 maxpool conv3-256 maxpool conv3-512 maxpool fc-1024": 82.45,
    "conv3-128 maxpool conv3-256*2 maxpool conv3-512*2 maxpool fc-1024*2": 84.88,
    "conv3-128 maxpool conv3-256*2 maxpool conv3-512*6 maxpool fc-1024*2": 86.93,
}
MAJORITY = "majority class"
_UNITS = {1e18: "EFLOP", 1e15: "PFLOP", 1e12: "TFLOP", 1e9: "GFLOP", 1e6: "MFLOP", 1: "FLOP"}


def results_table(records: Sequence[Record]) -> Rows:
    """A row a model: what it is, its metrics in percent, and the published top-1 where the data is CIFAR-10 itself."""
    rows = []
    for record in records:
        row = {
            "model": record.model,
            "after": record.after,
            "weight layers": count_weight_layers(record.layers),
            "parameters": record.parameters,
            "epochs": len(record.training.epochs),
            **{_heading(name): value for name, value in record.metrics.items()},
        }
        if records[0].source == "cifar10":
            row["published top-1"] = published_top1(record)
        rows.append(row)
    return rows


def published_top1(record: Record) -> float | None:
    """What was published of this network on this data, in percent; None where nothing was."""
    return PUBLISHED_TOP1.get(record.layers) if record.source == "cifar10" and record.width == 1 else None


def majority(record: Record) -> dict[str, float]:
    """Metrics in percent of naming always the most frequent class of the test images; top-k: the k most frequent."""
    sizes = sorted(class_sizes(record.confusion, record.classes), reverse=True)
    found = {f"top{k}": 100 * sum(sizes[:k]) / record.test_images for k in range(1, len(record.correct) + 1)}
    return found | {"balanced_top1": 100 / sum(size > 0 for size in sizes)}


def _heading(metric: str) -> str:
    return metric.replace("top", "top-").replace("_", " ")


def as_markdown(records: Sequence[Record]) -> str:
    """The table for people, with the single view's top-1 alone, what each model gains, and what its numbers are of."""
    rows = [_shown(row, record) for row, record in zip(results_table(records), records, strict=True)]
    rows.append({"model": MAJORITY} | {_heading(name): f"{value:.2f}" for name, value in majority(records[-1]).items()})
    headings = list(rows[0])
    align = ["left" if heading in ("model", "after") else "right" for heading in headings]
    cells = [[row.get(heading, "") for heading in headings] for row in rows]
    table = tabulate(cells, headings, tablefmt="pipe", colalign=align, disable_numparse=True)
    told = "".join(f"\n{sentence}.\n" for sentence in describe_gains(records))
    notes = "".join(f"\nWarning: {warning}\n" for warning in warnings(records))
    return f"{table}\n{told}\n{caption(records[-1])}\n{notes}"


def _shown(row: dict[str, Any], record: Record) -> dict[str, str]:
    """A row of the results as text, its interval beside top-1."""
    shown = {}
    for heading, value in row.items():
        if "single view" in heading and heading != "top-1 single view":
            continue
        shown[heading] = _as_text(heading, value)
        if heading == "top-1":
            shown["95 % interval"] = interval(record)
    return shown


def _as_text(heading: str, value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}" if heading == "loss" else f"{value:.2f}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def interval(record: Record) -> str:
    """Of a model's top-1, as text: percent."""
    return "{:.2f} to {:.2f}".format(*wilson_interval(record.correct[0], record.test_images))


def caption(record: Record) -> str:
    """What the numbers of a ladder's tables are of, in a sentence."""
    views = "" if record.views == "centre" else f", views: {record.views}"
    origin = f", {record.test_origin}" if record.test_origin else ""
    images = f"{counted(record.test_images, 'image')} of `{record.named}`{origin}"
    return f"Test accuracy in percent on {images}, width {record.width:g}{views}; loss in nats."


def unit_of(flops: float) -> tuple[float, str]:
    """The largest unit of compute of which there is at least one, as its size and name."""
    size = next((size for size in _UNITS if flops >= size), 1)
    return size, _UNITS[size]


def warnings(records: Sequence[Record]) -> list[str]:
    """What people should know of the images, and of each model that is no better than guessing."""
    told = [f"{record.model}: {record.training.warning}" for record in records if record.training.warning]
    return [*records[-1].notes, *told]


def summary(records: Sequence[Record]) -> str:
    """The ladder for a terminal of 80 columns: top-1 with its interval, the majority class, what each model gains."""
    last = records[-1]
    headings = ["model", "weight layers", "parameters", "top-1", "95 % interval"]
    rows = [
        [
            _short(record.model),
            str(count_weight_layers(record.layers)),
            f"{record.parameters:,}",
            f"{record.metrics['top1']:.2f}",
            interval(record),
        ]
        for record in records
    ]
    rows.append([MAJORITY, "", "", f"{majority(last)['top1']:.2f}", ""])
    align = ["left", *["right"] * 4]
    table = tabulate(rows, headings, tablefmt="plain", colalign=align, disable_numparse=True)
    told = [f"Top-1 in percent on {counted(last.test_images, 'test image')} of {last.named}.", *describe_gains(records)]
    told += [textwrap.fill(f"Warning: {each}", 80, subsequent_indent="  ") for each in warnings(records)]
    return "\n".join([*(line.rstrip() for line in table.splitlines()), "", *told]) + "\n"


def _short(name: str, most: int = 20) -> str:
    """A name that leaves room for the other columns; where it is longer, its beginning and its end."""
    return name if len(name) <= most else f"{name[: most - 8]}..{name[-6:]}"


def curves_table(records: Sequence[Record]) -> Rows:
    """A row a model and epoch: learning rate, losses, validation top-1, and the compute of all training so far."""
    rows, before = [], 0
    for record in records:
        epochs = record.training.epochs
        for done, row in enumerate(epochs, 1):
            flops = before + record.flops * done // len(epochs)
            rows.append({"model": record.model, **asdict(row), "flops": flops})
        before += record.flops
    return rows


def topk_table(records: Sequence[Record]) -> Rows:
    """A row a model and k: test accuracy in percent, and the 95 % interval around it.

    Beside them its weight layers, and the floating-point operations that its training and all before it took.
    """
    rows, flops = [], 0
    for record in records:
        flops += record.flops
        size = {"layers": count_weight_layers(record.layers), "flops": flops}
        for k, correct in enumerate(record.correct, 1):
            low, high = wilson_interval(correct, record.test_images)
            found = {"accuracy": record.metrics[f"top{k}"], "low": low, "high": high}
            rows.append({"model": record.model, "k": k, **found, **size})
    return rows
