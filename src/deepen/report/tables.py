"""The tables of a ladder: results, curves and top-k accuracies, with published results for CIFAR-10."""

import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tabulate import tabulate

from deepen.core.counts import pluralize
from deepen.evaluation.intervals import wilson_interval
from deepen.models.notation import count_weight_layers
from deepen.records.ladder import MissingModel, draw_models
from deepen.records.record import Record
from deepen.report.confusion import count_class_images
from deepen.report.gains import describe_gains
from deepen.report.stops import describe_stops
from deepen.report.training_notes import describe_weakness

Rows = list[dict[str, Any]]  # a table: the cells of each row by heading

# CIFAR-10 top-1 in percent by layers, of full-width networks: Jian Zhong, "Implement and train VGG in PyTorch",
# jianzhongdev.github.io/VisionTechInsights/posts/implement_train_vgg_pytorch. Its schedule looked at the test images.
PUBLISHED_TOP1 = {
    "conv3-128 maxpool conv3-256 maxpool conv3-512 maxpool fc-1024": 82.45,
    "conv3-128 maxpool conv3-256*2 maxpool conv3-512*2 maxpool fc-1024*2": 84.88,
    "conv3-128 maxpool conv3-256*2 maxpool conv3-512*6 maxpool fc-1024*2": 86.93,
}
MAJORITY = "majority class"
_UNITS = {1e18: "EFLOP", 1e15: "PFLOP", 1e12: "TFLOP", 1e9: "GFLOP", 1e6: "MFLOP", 1: "FLOP"}


def make_results_table(records: Sequence[Record]) -> Rows:
    """Return a row per model: size, metrics in percent, and on CIFAR-10 the published top-1."""
    rows = []
    for record in records:
        row = {
            "model": record.model,
            "after": record.after,
            "weight layers": count_weight_layers(record.layers),
            "parameters": record.parameters,
            "epochs": len(record.training.epochs),
            **{format_heading(name): value for name, value in record.metrics.items()},
        }
        if records[0].source == "cifar10":
            row["published top-1"] = find_published_top1(record)
        rows.append(row)
    return rows


def find_published_top1(record: Record) -> float | None:
    """Return the published top-1 (percent) of this network on this data; None if there is none."""
    return PUBLISHED_TOP1.get(record.layers) if record.source == "cifar10" and record.width == 1 else None


def compute_majority_metrics(record: Record) -> dict[str, float]:
    """Compute the metrics (percent) of always predicting the majority class, for top-k the k most frequent classes."""
    sizes = sorted(count_class_images(record.confusion, record.classes), reverse=True)
    metrics = {f"top{k}": 100 * sum(sizes[:k]) / record.test_images for k in range(1, len(record.correct) + 1)}
    return metrics | {"balanced_top1": 100 / sum(size > 0 for size in sizes)}


def format_heading(metric: str) -> str:
    """Format the name of a metric as a heading, for example top-1 for top1."""
    return metric.replace("top", "top-").replace("_", " ")


def format_markdown(records: Sequence[Record], missing: Sequence[MissingModel] = ()) -> str:
    """Format the results as Markdown: the table, what each model gains, a caption and warnings."""
    cells_of = {
        record.model: _format_row(row, record) for row, record in zip(make_results_table(records), records, strict=True)
    }
    headings = list(cells_of[records[0].model])
    cells_of |= {each.model: _format_missing_row(each) for each in missing}
    rows = [cells_of[each.model] for _, each in draw_models(records, missing)]
    rows.append(
        {"model": MAJORITY}
        | {format_heading(name): f"{value:.2f}" for name, value in compute_majority_metrics(records[-1]).items()}
    )
    align = ["left" if heading in ("model", "after") else "right" for heading in headings]
    cells = [[row.get(heading, "") for heading in headings] for row in rows]
    table = tabulate(cells, headings, tablefmt="pipe", colalign=align, disable_numparse=True)
    gains = "".join(f"\n{sentence}.\n" for sentence in [*describe_gains(records), *describe_stops(records)])
    notes = "".join(f"\n{each.describe()}.\n" for each in missing)
    notes += "".join(f"\nWarning: {warning}\n" for warning in list_warnings(records))
    return f"{table}\n{gains}\n{format_caption(records[-1])}\n{notes}"


def _format_row(row: dict[str, Any], record: Record) -> dict[str, str]:
    """Format a row of the results, with an interval after top-1; of the single view, only top-1."""
    cells = {}
    for heading, value in row.items():
        if "single view" in heading and heading != "top-1 single view":
            continue
        cells[heading] = _format_cell(heading, value)
        if heading == "top-1":
            cells["95 % interval"] = format_interval(record)
    return cells


def _format_missing_row(model: MissingModel) -> dict[str, str]:
    return {"model": model.model, "after": model.after, "weight layers": model.weight_layers, "top-1": model.state}


def _format_cell(heading: str, value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}" if heading == "loss" else f"{value:.2f}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def format_interval(record: Record) -> str:
    """Format the 95 % interval of a model's top-1, in percent."""
    return "{:.2f} to {:.2f}".format(*wilson_interval(record.correct[0], record.test_images))


def format_caption(record: Record) -> str:
    """Return the caption of a ladder's table: test images, width, views, what the intervals cover, and units."""
    views = "" if record.views == "centre" else f", views: {record.views}"
    origin = f", {record.test_origin}" if record.test_origin else ""
    images = f"{pluralize(record.test_images, 'image')} of `{record.named}`{origin}"
    covers = "one seed; intervals over test images; loss in nats"
    return f"Test accuracy in percent on {images}, width {record.width:g}{views}, {covers}."


def choose_unit(flops: float) -> tuple[float, str]:
    """Return the size and name of the largest unit of compute that is not larger than `flops`."""
    size = next((size for size in _UNITS if flops >= size), 1)
    return size, _UNITS[size]


def list_warnings(records: Sequence[Record]) -> list[str]:
    """Return the notes on the images, and the warning of each model, if any."""
    trainings = [f"{record.model}: {text}" for record in records if (text := describe_weakness(record))]
    return [*records[-1].notes, *trainings]


def format_summary(records: Sequence[Record], missing: Sequence[MissingModel] = ()) -> str:
    """Format the results for a terminal of 80 columns: top-1 with its interval, the majority class, gains, warnings."""
    last = records[-1]
    headings = ["model", "weight layers", "parameters", "top-1", "95 % interval"]
    rows = [[lines + _shorten(each.model), *_summarize(each)] for lines, each in draw_models(records, missing)]
    rows.append([MAJORITY, "", "", f"{compute_majority_metrics(last)['top1']:.2f}", ""])
    align = ["left", *["right"] * 4]
    table = tabulate(rows, headings, tablefmt="plain", colalign=align, disable_numparse=True, preserve_whitespace=True)
    tested = pluralize(last.test_images, "test image")
    notes = [
        f"Top-1 in percent on {tested} of {last.named}, one seed; intervals over images.",
        *describe_gains(records),
        *(textwrap.fill(each, 80, subsequent_indent="  ") for each in describe_stops(records)),
    ]
    notes += [f"{each.describe()}." for each in missing]
    notes += [textwrap.fill(f"Warning: {each}", 80, subsequent_indent="  ") for each in list_warnings(records)]
    return "\n".join([*(line.rstrip() for line in table.splitlines()), "", *notes]) + "\n"


def _summarize(model: Record | MissingModel) -> list[str]:
    """Return weight layers, parameters, top-1 and its interval, or why there are none."""
    if isinstance(model, MissingModel):
        return [model.weight_layers, "", "", model.state]
    depth, top1 = count_weight_layers(model.layers), model.metrics["top1"]
    return [str(depth), f"{model.parameters:,}", f"{top1:.2f}", format_interval(model)]


def _shorten(name: str, most: int = 20) -> str:
    """Shorten a long name to its beginning and its end."""
    return name if len(name) <= most else f"{name[: most - 8]}..{name[-6:]}"


def make_curves_table(records: Sequence[Record]) -> Rows:
    """Return a row per model and epoch: learning rate, losses, validation top-1, and cumulative training FLOPs."""
    rows, totals = [], sum_flops(records)
    for record in records:
        epochs, before = record.training.epochs, totals.get(record.after, 0)
        for done, row in enumerate(epochs, 1):
            flops = before + record.flops * done // len(epochs)
            rows.append({"model": record.model, **asdict(row), "flops": flops})
    return rows


def sum_flops(records: Sequence[Record]) -> dict[str, int]:
    """Return the training FLOPs of each model, with those of the models that it grew from."""
    totals: dict[str, int] = {}
    for record in records:  # each after the one that it grew from
        totals[record.model] = totals.get(record.after, 0) + record.flops
    return totals


def make_topk_table(records: Sequence[Record]) -> Rows:
    """Return a row per model and k: test accuracy (percent) and its 95 % interval.

    Each row also has the number of weight layers, and the cumulative training FLOPs.
    """
    rows, totals = [], sum_flops(records)
    for record in records:
        size = {"layers": count_weight_layers(record.layers), "flops": totals[record.model]}
        for k, correct in enumerate(record.correct, 1):
            low, high = wilson_interval(correct, record.test_images)
            accuracy = {"accuracy": record.metrics[f"top{k}"], "low": low, "high": high}
            rows.append({"model": record.model, "k": k, **accuracy, **size})
    return rows
