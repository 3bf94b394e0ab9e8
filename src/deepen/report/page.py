"""One page that shows a ladder: self-contained HTML, for screens of any width, for paper and for screen readers."""

import base64
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from deepen.core.errors import some
from deepen.data.images import FEW, ImageSet
from deepen.evaluation.predictions import Predictions
from deepen.records.record import Record
from deepen.report import charts, figures, gains, page_tables, tables, vega
from deepen.report.confusion import class_sizes
from deepen.report.lineage import lineage

_TEMPLATE, _STYLE = "page.html.j2", "page.css"
_SMALL = 64  # pixels a side up to which images of mistakes are enlarged, each pixel a square
_MOST_SIDE = 256  # pixels, beyond which they are made smaller


@dataclass(frozen=True)
class Pictures:
    """PNG files: what training sees of images, and the filters of the layer `role` before and after training."""

    augmentation: bytes
    role: str
    filters_before: bytes
    filters_after: bytes


@dataclass(frozen=True)
class Chart:
    """A chart, and what it shows in a sentence and as a table, for those who can't see it."""

    name: str
    spec: vega.Spec
    alternative: str
    numbers: page_tables.Table | None = None


def render(
    records: Sequence[Record], classes: Sequence[str], mistakes: ImageSet, said: Predictions, pictures: Pictures
) -> str:
    """The page as HTML; equal arguments give equal text.

    `records` are those of a model and of all it grew from, `said` is what that model said of the test images, and
    `mistakes` are the first of the images that said.worst names.
    """
    last, rows = records[-1], lineage(records)
    drawn, confusions = _charts(records), [_confusion(record, classes) for record in records]
    specs = {chart.name: chart.spec for chart in [*drawn.values(), *(each["chart"] for each in confusions)] if chart}
    return _template().render(
        css=Markup(_style()),
        vega=Markup(vega.javascript().replace("</script", "<\\/script")),
        specs=Markup(json.dumps(specs, separators=(",", ":")).replace("<", "\\u003c")),
        records=records,
        last=last,
        classes=len(classes),
        headline=gains.describe_best(records),
        gains=gains.describe_gains(records),
        warnings=tables.warnings(records),
        rows=rows,
        parameters=list(page_tables.parameter_counts(rows)),
        scores=page_tables.scores(records),
        published=any(tables.published_top1(record) is not None for record in records),
        few=", ".join(some(_few(last, classes))),
        least=FEW,
        charts=drawn,
        confusions=confusions,
        by_class=page_tables.class_by_class(records, classes),
        extremes=page_tables.extremes(last, classes),
        **_pictures(mistakes, said, pictures),
        settings=page_tables.settings(records),
    )


def _template() -> Template:
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(_TEMPLATE)


def _style() -> str:
    """The style sheet, with the colours of a light and of a dark ground."""
    light, dark = ("; ".join(f"--{name}: {both[place]}" for name, both in vega.COLORS.items()) for place in (0, 1))
    colors = f":root {{ {light} }}\n@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
    return colors + Path(__file__).with_name(_STYLE).read_text(encoding="utf-8")


def _few(record: Record, classes: Sequence[str]) -> list[str]:
    sizes = class_sizes(record.confusion, len(classes))
    return [f"{name} ({size})" for name, size in zip(classes, sizes, strict=True) if size < FEW]


def _charts(records: Sequence[Record]) -> dict[str, Chart]:
    curves, topk = tables.curves_table(records), tables.topk_table(records)
    reached = "; ".join(f"{record.model} {record.metrics['top1']:.2f}" for record in records)
    ends = "; ".join(f"{record.model} {record.training.epochs[-1].val_top1:.2f}" for record in records)
    losses = "; ".join(f"{record.model} {record.training.epochs[-1].val_loss:.3f}" for record in records)
    test, validation = f"Test top-1 in percent: {reached}", f"Validation top-1 at the end in percent: {ends}"
    first, numbers = page_tables.from_rows([row for row in topk if row["k"] == 1]), page_tables.from_rows(topk)
    epochs = page_tables.from_rows(curves)
    return {
        "compute": Chart("compute-chart", charts.accuracy_by_compute(topk), test, first),
        "depth": Chart("depth-chart", charts.accuracy_by_depth(topk), test, numbers),
        "accuracy": Chart("accuracy-chart", charts.validation_accuracy(curves), validation, epochs),
        "losses": Chart("loss-chart", charts.losses(curves), f"Validation loss at the end in nats: {losses}", epochs),
    }


def _confusion(record: Record, classes: Sequence[str]) -> dict[str, Any]:
    words = f"Confusion matrix of model {record.model}; the table beside it says what it shows"
    drawn = len(classes) <= charts.MOST_CLASSES
    spec = charts.confusion(record.confusion, classes) if drawn else {}
    return {
        "model": record.model,
        "chart": Chart(f"confusion-{record.model}", spec, words) if drawn else None,
        "mixups": page_tables.confused(record.confusion, classes),
    }


def _pictures(mistakes: ImageSet, said: Predictions, pictures: Pictures) -> dict[str, Any]:
    """What the page has of images: the mistakes, augmentation and filters."""
    small = max(mistakes.shape[1:]) <= _SMALL
    before, after = (_as_url("image/png", png) for png in (pictures.filters_before, pictures.filters_after))
    return {
        "mistakes": list(_mistakes(mistakes, said)),
        "numbered": not said.files,
        "photos": not small,
        "augmentation": (_as_url("image/png", pictures.augmentation) if small else _as_webp(pictures.augmentation)),
        "role": pictures.role,
        "filters": {"before": before, "after": after},
    }


def _mistakes(images: ImageSet, said: Predictions) -> Iterator[dict[str, Any]]:
    for pixels, row in zip(images.images, said.worst(len(images)).tolist(), strict=True):
        actual, predicted = images.classes[said.actual[row]], images.classes[said.predicted[row]]
        percent = f"{100 * said.probability[row]:.1f}"
        yield {
            "source": _as_picture(pixels),
            "ratio": f"{pixels.shape[2]} / {pixels.shape[1]}",
            "actual": actual,
            "predicted": predicted,
            "percent": percent,
            "name": said.name_of(row),
            "alternative": f"A test image of {actual}, taken for {predicted} with {percent} percent",
        }


def _as_picture(pixels: NDArray[np.uint8]) -> str:
    """An image (channels, height, width), in colour where it has three channels: small ones without loss."""
    flat = pixels.transpose(1, 2, 0) if len(pixels) == 3 else pixels.mean(0).astype(np.uint8)
    png = figures.as_png(flat)
    return _as_url("image/png", png) if max(flat.shape[:2]) <= _SMALL else _as_webp(png, _MOST_SIDE)


def _as_webp(png: bytes, most: int = 1000) -> str:
    """A picture of photos, at most so many pixels a side."""
    image, file = Image.open(io.BytesIO(png)), io.BytesIO()
    image.thumbnail((most, most))
    image.save(file, "WEBP", quality=80)
    return _as_url("image/webp", file.getvalue())


def _as_url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64," + base64.b64encode(content).decode()
