"""Stage `report`: tables, plots and the page of every model, and the metrics of the one that `depth` names."""

from collections.abc import Sequence
from pathlib import Path

from deepen.config.settings import load_settings
from deepen.core.files import write_atomically, write_json, write_text
from deepen.data.images import ImageSet, load_images
from deepen.evaluation.predictions import Predictions, load_predictions
from deepen.models.weights import ModelCard, load_weights, read_weights_checksum
from deepen.records.ladder import LadderResults, load_ladder_results
from deepen.report import charts, figures, page, tables, vega
from deepen.report.branches import add_origins
from deepen.report.mistakes import HEADINGS, make_mistakes_table
from deepen.report.spreadsheets import format_csv
from pipeline.shared import files
from pipeline.shared.agreement import require_agreement
from pipeline.shared.stage import require_unchanged, run
from pipeline.shared.tracked import log_report, make_tracker

REPORTS = Path("reports")
DVC_PLOTS = Path("dvc_plots")  # where `dvc plots show` writes its page, which draws with Vega


def report() -> None:
    settings = load_settings()
    depth = settings.depth
    results, predictions = load_ladder_results(files.RESULTS), load_predictions(files.predictions(depth))
    (card, state), (_, before) = (load_weights(path) for path in (files.weights(depth), files.init(depth)))
    paths = (files.mistakes(depth), files.examples(depth), files.SALIENCY)
    mistakes, examples, saliency = (load_images(path) for path in paths)
    _require_agreement(depth, results, predictions, mistakes, examples, saliency, card)
    first = next(layer.role for layer in card.plan() if layer.kind == "conv")
    ended, began = state[f"{first}.weight"], before[f"{first}.weight"]
    augmentation = figures.draw_augmentation(examples)
    require_unchanged()

    write_json(files.metrics("final"), results.last.metrics)
    _write_tables(results, predictions, card.classes)
    write_text(REPORTS / "mistakes.csv", format_csv(make_mistakes_table(predictions, card.classes), HEADINGS))
    pictures = page.Pictures(
        augmentation, first, figures.draw_filters(began, ended), figures.draw_filters(ended, began), saliency
    )
    _write_pictures(results, card.classes, pictures)
    write_text(DVC_PLOTS / "vega.js", vega.load_javascript())
    write_text(REPORTS / "index.html", page.render(results, card.classes, mistakes, predictions, pictures))
    with make_tracker(settings, depth) as tracker:
        table = tables.make_results_table(results.records), tables.format_markdown(results.records, results.missing)
        log_report(tracker, settings, card, results.last, *table, REPORTS / "index.html")
    accuracies = ", ".join(f"{record.model} {record.metrics['top1']:.2f}" for record in results.records)
    print(f"test top-1 in percent: {accuracies}\nreport: {REPORTS / 'index.html'}")


def _require_agreement(
    depth: str,
    results: LadderResults,
    predictions: Predictions,
    mistakes: ImageSet,
    examples: ImageSet,
    saliency: ImageSet,
    card: ModelCard,
) -> None:
    path, weights, init = files.RESULTS, files.weights(depth), files.init(depth)
    predicted, last = files.predictions(depth), results.last
    weights_of = {record.model: record.weights for record in results.records}
    explained = " ".join(dict.fromkeys([results.first.weights, last.weights]))
    grown = [(record.grown_from, weights_of.get(record.after)) for record in results.records]
    require_agreement(
        [
            ("depth", (path, results.depth), (files.PARAMS, depth)),
            ("checksum of the weights", (path, last.weights), (weights, read_weights_checksum(weights))),
            ("checksum of the start", (path, last.training.start), (init, read_weights_checksum(init))),
            *(("checksum of what a model grew from", (path, one), (path, other)) for one, other in grown),
            ("checksum of the weights", (predicted, predictions.weights), (path, last.weights)),
            (
                "checksum of the weights",
                (files.examples(depth), examples.origin),
                (weights, read_weights_checksum(weights)),
            ),
            ("checksums of the weights", (files.SALIENCY, saliency.origin), (path, explained)),
            ("number of images", (predicted, len(predictions.actual)), (path, last.test_images)),
            ("classes", (files.mistakes(depth), mistakes.classes), (weights, card.classes)),
        ]
    )


def _write_tables(results: LadderResults, predictions: Predictions, classes: Sequence[str]) -> None:
    records = results.records
    write_text(REPORTS / "table.csv", format_csv(tables.make_results_table(records)))
    write_text(REPORTS / "table.md", tables.format_markdown(records, results.missing))
    write_text(REPORTS / "curves.csv", format_csv(tables.make_curves_table(records)))
    write_text(REPORTS / "topk.csv", format_csv(add_origins(tables.make_topk_table(records), results.after)))
    pairs = zip(predictions.actual, predictions.predicted, strict=True)
    write_text(
        REPORTS / "confusion.csv", format_csv([{"actual": classes[a], "predicted": classes[p]} for a, p in pairs])
    )


def _write_pictures(results: LadderResults, classes: Sequence[str], pictures: page.Pictures) -> None:
    """Write the page's charts and pictures of images as PNG files."""
    curves, topk = tables.make_curves_table(results.records), tables.make_topk_table(results.records)
    last, after = results.last, results.after
    specs = {
        "curves": (charts.plot_validation_accuracy(curves, after), f"Validation top-1 on {last.named}"),
        "depth": (charts.plot_accuracy_by_depth(topk, after), f"Test accuracy on {last.named}"),
        "confusion": (charts.plot_confusion(last.confusion, classes), f"Model {last.model} on the test images"),
    }
    contents = {name: vega.draw(spec, title) for name, (spec, title) in specs.items()}
    contents |= {"filters": pictures.filters_after, "augmentation": pictures.augmentation}
    for name, content in contents.items():
        with write_atomically(REPORTS / f"{name}.png") as temporary:
            temporary.write_bytes(content)


if __name__ == "__main__":
    run(report)
