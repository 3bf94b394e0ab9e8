"""The ladder up to `depth`: tables, plots, and the metrics of the model that `depth` names."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from deepen import figures, page, tables
from deepen.errors import InputError
from deepen.images import ImageSet, load_images
from deepen.predictions import Predictions, load_predictions
from deepen.records import Record, load_records
from deepen.settings import load_settings
from deepen.spreadsheets import as_csv
from deepen.weights import ModelCard, load_weights, weights_checksum
from deepen.writing import write_json, write_text
from pipeline import files, require_unchanged, run
from pipeline.agreement import require_agreement

REPORTS = Path("reports")


def report() -> None:
    depth = load_settings().depth
    records, predictions = load_records(files.records(depth)), load_predictions(files.predictions(depth))
    (card, state), (_, before) = (load_weights(path) for path in (files.weights(depth), files.init(depth)))
    mistakes, examples = load_images(files.mistakes(depth)), load_images(files.examples(depth))
    _require_agreement(depth, records, predictions, mistakes, examples, card)
    first = next(layer.role for layer in card.plan() if layer.kind == "conv")
    ended, began = state[f"{first}.weight"], before[f"{first}.weight"]
    augmentation = figures.draw_augmentation(examples)
    require_unchanged()

    write_json(files.metrics("final"), records[-1].metrics)
    _write_tables(records)
    _write_confusion(depth, predictions, card.classes)
    figures.save_figure(figures.draw_filters(ended, f"{first} of model {depth}", began), REPORTS / "filters.png")
    figures.save_figure(augmentation, REPORTS / "augmentation.png")
    pictures = page.Pictures(
        augmentation=(REPORTS / "augmentation.png").read_bytes(),
        role=first,
        filters_before=figures.as_png(figures.draw_filters(began, f"{first} before model {depth} was trained", ended)),
        filters_after=(REPORTS / "filters.png").read_bytes(),
    )
    write_text(REPORTS / "index.html", page.render(records, card.classes, mistakes, predictions, pictures))
    accuracies = ", ".join(f"{record.model} {record.metrics['top1']:.2f}" for record in records)
    print(f"test top-1 in percent: {accuracies}\nreport: {REPORTS / 'index.html'}")


def _require_agreement(
    depth: str,
    records: Sequence[Record],
    predictions: Predictions,
    mistakes: ImageSet,
    examples: ImageSet,
    card: ModelCard,
) -> None:
    path, said, weights, init = files.records(depth), files.predictions(depth), files.weights(depth), files.init(depth)
    if not records:
        raise InputError(f"{path}: has no model; remove it and run dvc repro")
    last = records[-1]
    grown = [(record.grown_from, before.weights) for before, record in itertools.pairwise(records)]
    require_agreement(
        [
            ("model", (path, last.model), (files.PARAMS, depth)),
            ("checksum of the weights", (path, last.weights), (weights, weights_checksum(weights))),
            ("checksum of the start", (path, last.training.start), (init, weights_checksum(init))),
            *(("checksum of what a model grew from", (path, one), (path, other)) for one, other in grown),
            ("checksum of the weights", (said, predictions.weights), (path, last.weights)),
            ("checksum of the weights", (files.examples(depth), examples.origin), (weights, weights_checksum(weights))),
            ("number of images", (said, len(predictions.actual)), (path, last.test_images)),
            ("classes", (files.mistakes(depth), mistakes.classes), (weights, card.classes)),
        ]
    )


def _write_tables(records: Sequence[Record]) -> None:
    table = tables.results_table(records)
    write_text(REPORTS / "table.csv", as_csv(table))
    write_text(REPORTS / "table.md", tables.as_markdown(table, records))
    curves, topk = tables.curves_table(records), tables.topk_table(records)
    write_text(REPORTS / "curves.csv", as_csv(curves))
    write_text(REPORTS / "topk.csv", as_csv(topk))
    figures.save_figure(figures.draw_curves(curves), REPORTS / "curves.png")
    figures.save_figure(figures.draw_depth(topk), REPORTS / "depth.png")


def _write_confusion(depth: str, predictions: Predictions, classes: Sequence[str]) -> None:
    named = pd.DataFrame({"actual": predictions.actual, "predicted": predictions.predicted})
    write_text(REPORTS / "confusion.csv", as_csv(named.map(classes.__getitem__)))
    confusion = figures.draw_confusion(
        predictions.actual, predictions.predicted, classes, f"Model {depth} on the test images"
    )
    figures.save_figure(confusion, REPORTS / "confusion.png")


if __name__ == "__main__":
    run(report)
