"""The report page: self-contained HTML for screens of any width, for print and for screen readers."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from deepen.core.errors import trim
from deepen.data.images import FEW, ImageSet
from deepen.evaluation.predictions import Predictions
from deepen.records.ladder import LadderResults
from deepen.records.record import Record
from deepen.report import charts, gains, page_tables, stops, tables, vega
from deepen.report.confusion import count_class_images
from deepen.report.data_urls import SMALL, encode_image, encode_url, encode_webp
from deepen.report.lineage import describe_tree, trace_lineage
from deepen.report.saliency import list_saliency_rows

_TEMPLATE, _STYLE = "page.html.j2", "page.css"


@dataclass(frozen=True)
class Pictures:
    """PNG files: augmented training images, and the filters of the layer `role` before and after training.

    `saliency` has the tiles of `join_tiles`, for the first and the last model; None if they were not asked for.
    """

    augmentation: bytes
    role: str
    filters_before: bytes
    filters_after: bytes
    saliency: ImageSet | None = None


@dataclass(frozen=True)
class Chart:
    """A chart with its text alternative: a sentence and a table."""

    name: str
    spec: vega.Spec
    alternative: str
    numbers: page_tables.Table | None = None


def render(
    results: LadderResults,
    classes: Sequence[str],
    mistakes: ImageSet,
    predictions: Predictions,
    pictures: Pictures,
) -> str:
    """Render the page as HTML; equal arguments give equal text.

    `predictions` are those for the test images of the model that `depth` names; `mistakes` are the first images of
    predictions.worst.
    """
    records, last = results.records, results.last
    plots, confusions = _make_charts(results), [_describe_confusion(record, classes) for record in records]
    specs = {chart.name: chart.spec for chart in [*plots.values(), *(each["chart"] for each in confusions)] if chart}
    return load_template(_TEMPLATE).render(
        css=Markup(load_style()),
        vega=Markup(vega.load_javascript().replace("</script", "<\\/script")),
        specs=Markup(json.dumps(specs, separators=(",", ":")).replace("<", "\\u003c")),
        records=records,
        last=last,
        classes=len(classes),
        **_describe_ladder(results),
        few=", ".join(trim(_list_small_classes(last, classes))),
        least=FEW,
        charts=plots,
        confusions=confusions,
        by_class=page_tables.make_class_table([*(each for each in records if each is not last), last], classes),
        extremes=page_tables.describe_extremes(last, classes),
        **_prepare_images(mistakes, predictions, pictures),
        saliency=list_saliency_rows(pictures.saliency, [results.first, last]),
        stops=stops.describe_stops(records),
        settings=page_tables.make_settings_table(records),
    )


def _describe_ladder(results: LadderResults) -> dict[str, Any]:
    """Return the scores of the models, their tree, and the origin of each layer."""
    records, rows = results.records, trace_lineage(results.records)
    return {
        "headline": gains.describe_best(records),
        "gains": gains.describe_gains(records),
        "missing": results.missing,
        "warnings": tables.list_warnings(records),
        "tree": describe_tree(results),
        "rows": rows,
        "parameters": list(page_tables.count_parameters_by_kind(rows)),
        "scores": page_tables.make_scores_table(records, results.missing),
        "published": any(tables.find_published_top1(record) is not None for record in records),
    }


def load_template(name: str) -> Template:
    """Return a template of this package, which reports any name that it is not given."""
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(name)


def load_style() -> str:
    """Return the style sheet, with the colours of light and dark mode."""
    light, dark = ("; ".join(f"--{name}: {both[place]}" for name, both in vega.COLORS.items()) for place in (0, 1))
    colors = f":root {{ {light} }}\n@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
    return colors + Path(__file__).with_name(_STYLE).read_text(encoding="utf-8")


def _list_small_classes(record: Record, classes: Sequence[str]) -> list[str]:
    sizes = count_class_images(record.confusion, len(classes))
    return [f"{name} ({size})" for name, size in zip(classes, sizes, strict=True) if size < FEW]


def _make_charts(results: LadderResults) -> dict[str, Chart]:
    records, after = results.records, results.after
    curves, topk = tables.make_curves_table(records), tables.make_topk_table(records)
    reached = "; ".join(f"{record.model} {record.metrics['top1']:.2f}" for record in records)
    ends = "; ".join(f"{record.model} {record.training.kept.val_top1:.2f}" for record in records)
    losses = "; ".join(f"{record.model} {record.training.kept.val_loss:.3f}" for record in records)
    test, validation = f"Test top-1 in percent: {reached}", f"Validation top-1 at the end in percent: {ends}"
    first, numbers = page_tables.make_table([row for row in topk if row["k"] == 1]), page_tables.make_table(topk)
    epochs = page_tables.make_table(curves)
    return {
        "compute": Chart("compute-chart", charts.plot_accuracy_by_compute(topk, after), test, first),
        "depth": Chart("depth-chart", charts.plot_accuracy_by_depth(topk, after), test, numbers),
        "accuracy": Chart("accuracy-chart", charts.plot_validation_accuracy(curves, after), validation, epochs),
        "losses": Chart(
            "loss-chart", charts.plot_losses(curves, after), f"Validation loss at the end in nats: {losses}", epochs
        ),
    }


def _describe_confusion(record: Record, classes: Sequence[str]) -> dict[str, Any]:
    alternative = f"Confusion matrix of model {record.model}; the table next to it lists the most confused classes"
    readable = len(classes) <= charts.MOST_CLASSES
    spec = charts.plot_confusion(record.confusion, classes) if readable else {}
    return {
        "model": record.model,
        "chart": Chart(f"confusion-{record.model}", spec, alternative) if readable else None,
        "pairs": page_tables.make_confusion_table(record.confusion, classes),
    }


def _prepare_images(mistakes: ImageSet, predictions: Predictions, pictures: Pictures) -> dict[str, Any]:
    """Return the images of the page as data URLs: mistakes, augmentation and filters."""
    small = max(mistakes.shape[1:]) <= SMALL
    before, after = (encode_url("image/png", png) for png in (pictures.filters_before, pictures.filters_after))
    return {
        "mistakes": list(_iter_mistakes(mistakes, predictions)),
        "numbered": not predictions.files,
        "photos": not small,
        "augmentation": (
            encode_url("image/png", pictures.augmentation) if small else encode_webp(pictures.augmentation)
        ),
        "role": pictures.role,
        "filters": {"before": before, "after": after},
    }


def _iter_mistakes(images: ImageSet, predictions: Predictions) -> Iterator[dict[str, Any]]:
    for pixels, row in zip(images.images, predictions.worst(len(images)).tolist(), strict=True):
        actual, predicted = images.classes[predictions.actual[row]], images.classes[predictions.predicted[row]]
        percent = f"{100 * predictions.probability[row]:.1f}"
        yield {
            "source": encode_image(pixels),
            "ratio": f"{pixels.shape[2]} / {pixels.shape[1]}",
            "actual": actual,
            "predicted": predicted,
            "percent": percent,
            "name": predictions.name_of(row),
            "alternative": f"A test image of {actual}, predicted as {predicted} with {percent} percent",
        }
