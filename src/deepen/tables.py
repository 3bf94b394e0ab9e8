"""The tables of a ladder: one row a model, beside the published numbers where there are any."""

from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd

from deepen.intervals import wilson_interval as wilson_interval
from deepen.notation import weight_layers
from deepen.records import Record

# CIFAR-10 top-1 in percent by layers, of full-width networks: Jian Zhong, "Implement and train VGG in PyTorch",
# jianzhongdev.github.io/VisionTechInsights/posts/implement_train_vgg_pytorch. Its schedule looked at the test images.
PUBLISHED_TOP1 = {
    "conv3-128 maxpool conv3-256 maxpool conv3-512 maxpool fc-1024": 82.45,
    "conv3-128 maxpool conv3-256*2 maxpool conv3-512*2 maxpool fc-1024*2": 84.88,
    "conv3-128 maxpool conv3-256*2 maxpool conv3-512*6 maxpool fc-1024*2": 86.93,
}


def results_table(records: Sequence[Record]) -> pd.DataFrame:
    """A row a model: what it is, its metrics in percent, and the published top-1 where the data is CIFAR-10 itself."""
    table = pd.DataFrame(
        [
            {
                "model": record.model,
                "after": record.after,
                "weight layers": weight_layers(record.layers),
                "parameters": record.parameters,
                "epochs": len(record.training.epochs),
                **{_heading(name): value for name, value in record.metrics.items()},
            }
            for record in records
        ]
    )
    if records[0].source == "cifar10":
        table["published top-1"] = pd.array([published_top1(record) for record in records], dtype="Float64")
    return table


def published_top1(record: Record) -> float | None:
    """What was published of this network on this data, in percent; None where nothing was."""
    return PUBLISHED_TOP1.get(record.layers) if record.source == "cifar10" and record.width == 1 else None


def _heading(metric: str) -> str:
    return metric.replace("top", "top-").replace("_", " ")


def as_markdown(table: pd.DataFrame, records: Sequence[Record]) -> str:
    """The table for people, with the single view's top-1 alone, and what its numbers are of."""
    shown = table.assign(parameters=table["parameters"].map("{:,}".format)).astype(object).where(table.notna(), "")
    other_views = [name for name in map(str, table) if "single view" in name and name != "top-1 single view"]
    shown = shown.drop(columns=other_views)
    last = records[-1]
    floats = [".3f" if column == "loss" else ".2f" for column in shown]
    views = "" if last.views == "centre" else f", views: {last.views}"
    origin = f", {last.test_origin}" if last.test_origin else ""
    images = f"{last.test_images:,} images of `{last.data}`{origin}"
    caption = f"Test accuracy in percent on {images}, width {last.width:g}{views}; loss in nats."
    notes = "".join(f"\nWarning: {note}\n" for note in last.notes)
    return f"{shown.to_markdown(index=False, floatfmt=floats)}\n\n{caption}\n{notes}"


def curves_table(records: Sequence[Record]) -> pd.DataFrame:
    """A row a model and epoch: the learning rate, the losses and validation top-1."""
    return pd.DataFrame(
        [{"model": record.model, **asdict(row)} for record in records for row in record.training.epochs]
    )


def topk_table(records: Sequence[Record]) -> pd.DataFrame:
    """A row a model and k: test accuracy in percent, and the 95 % interval around it."""
    rows = []
    for record in records:
        for k, correct in enumerate(record.correct, 1):
            low, high = wilson_interval(correct, record.test_images)
            rows.append(
                {"model": record.model, "k": k, "accuracy": record.metrics[f"top{k}"], "low": low, "high": high}
            )
    return pd.DataFrame(rows)
