"""One page that shows a ladder: self-contained HTML, for screens of any width, for paper and for screen readers."""

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image
from plotly.offline import get_plotlyjs

from deepen import charts, page_tables, tables
from deepen.confusion import class_sizes, matrix
from deepen.errors import some
from deepen.images import FEW, ImageSet
from deepen.intervals import wilson_interval
from deepen.lineage import lineage
from deepen.notation import weight_layers
from deepen.predictions import Predictions
from deepen.records import Record

_TEMPLATE, _STYLE = "page.html.j2", "page.css"
_MOST_SIDE = 320  # pixels, beyond which images of mistakes are made smaller


@dataclass(frozen=True)
class Pictures:
    """PNG files: what training sees of images, and the filters of the layer `role` before and after training."""

    augmentation: bytes
    role: str
    filters_before: bytes
    filters_after: bytes


@dataclass(frozen=True)
class Chart:
    """A chart as HTML, and what it shows in a sentence and as a table, for those who can't see it."""

    html: Markup
    alternative: str
    numbers: page_tables.Table | None = None


def render(
    records: Sequence[Record], classes: Sequence[str], mistakes: ImageSet, said: Predictions, pictures: Pictures
) -> str:
    """The page as HTML; equal arguments give equal text.

    `records` are those of a model and of all it grew from, `said` is what that model said of the test images, and
    `mistakes` are the first of the images that said.worst names.
    """
    folder = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    last, rows = records[-1], lineage(records)
    sizes = class_sizes(last.confusion, len(classes))
    few = [f"{name} ({size})" for name, size in zip(classes, sizes, strict=True) if size < FEW]
    return environment.get_template(_TEMPLATE).render(
        css=Markup((folder / _STYLE).read_text(encoding="utf-8")),
        plotly=Markup(get_plotlyjs()),
        records=records,
        last=last,
        classes=len(classes),
        interval=wilson_interval(last.correct[0], last.test_images),
        weight_layers=weight_layers(last.layers),
        rows=rows,
        parameters=list(page_tables.parameter_counts(rows)),
        scores=page_tables.scores(records),
        published=any(tables.published_top1(record) is not None for record in records),
        few=", ".join(some(few)),
        least=FEW,
        charts=_charts(records),
        confusions=[_confusion(record, classes) for record in records],
        mistakes=list(_mistakes(mistakes, said)),
        augmentation=_as_url(pictures.augmentation),
        role=pictures.role,
        filters={"before": _as_url(pictures.filters_before), "after": _as_url(pictures.filters_after)},
        settings=page_tables.settings(records),
    )


def _charts(records: Sequence[Record]) -> dict[str, Chart]:
    curves, topk = pd.DataFrame(tables.curves_table(records)), _topk(records)
    first = topk[topk["k"] == 1].reset_index(drop=True)
    reached = "; ".join(f"{row.model} {row.accuracy:.2f}" for row in first.itertuples())
    ends = "; ".join(f"{record.model} {record.training.epochs[-1].val_top1:.2f}" for record in records)
    losses = "; ".join(f"{record.model} {record.training.epochs[-1].val_loss:.3f}" for record in records)
    return {
        "depth": _chart("depth-chart", charts.accuracy_by_depth(topk), f"Test top-1 in percent: {reached}", topk),
        "compute": _chart(
            "compute-chart", charts.accuracy_by_compute(topk), f"Test top-1 in percent: {reached}", first
        ),
        "accuracy": _chart(
            "accuracy-chart",
            charts.validation_accuracy(curves),
            f"Validation top-1 at the end in percent: {ends}",
            curves,
        ),
        "losses": _chart("loss-chart", charts.losses(curves), f"Validation loss at the end in nats: {losses}", curves),
    }


def _topk(records: Sequence[Record]) -> pd.DataFrame:
    """tables.topk_table with the weight layers, and the operations of a model's training and of all before it."""
    spent = accumulate(record.flops for record in records)
    more = {record.model: (weight_layers(record.layers), flops) for record, flops in zip(records, spent, strict=True)}
    table = pd.DataFrame(tables.topk_table(records))
    layers, flops = zip(*map(more.__getitem__, table["model"]), strict=True)
    return table.assign(layers=layers, flops=[float(count) for count in flops])


def _confusion(record: Record, classes: Sequence[str]) -> dict[str, Any]:
    words = f"Confusion matrix of model {record.model}; the tables beside it say what it shows"
    chart = None
    if len(classes) <= charts.MOST_CLASSES:
        figure = charts.confusion(matrix(record.confusion, len(classes)), classes)
        chart = _chart(f"confusion-{record.model}", figure, words)
    return {
        "model": record.model,
        "chart": chart,
        "mixups": page_tables.confused(record.confusion, classes),
        "by_class": page_tables.class_by_class(record.confusion, classes),
    }


def _chart(name: str, figure: go.Figure, words: str, numbers: pd.DataFrame | None = None) -> Chart:
    config = {"responsive": True, "displayModeBar": False, "typesetMath": False}
    html = figure.to_html(full_html=False, include_plotlyjs=False, div_id=name, config=config)
    return Chart(Markup(html), words, None if numbers is None else page_tables.from_frame(numbers))


def _mistakes(images: ImageSet, said: Predictions) -> Iterator[dict[str, Any]]:
    for pixels, row in zip(images.images, said.worst(len(images)), strict=True):
        actual, predicted = images.classes[said.actual[row]], images.classes[said.predicted[row]]
        percent = f"{100 * said.probability[row]:.1f}"
        yield {
            "source": _as_url(_as_png(pixels)),
            "ratio": f"{pixels.shape[2]} / {pixels.shape[1]}",
            "actual": actual,
            "predicted": predicted,
            "percent": percent,
            "alternative": f"A test image of {actual}, taken for {predicted} with {percent} percent",
        }


def _as_png(pixels: NDArray[np.uint8]) -> bytes:
    """An image (channels, height, width), in colour where it has three channels."""
    flat = pixels.transpose(1, 2, 0) if len(pixels) == 3 else pixels.mean(0).astype(np.uint8)
    image, file = Image.fromarray(flat), io.BytesIO()
    image.thumbnail((_MOST_SIDE, _MOST_SIDE))
    image.save(file, "PNG")
    return file.getvalue()


def _as_url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
