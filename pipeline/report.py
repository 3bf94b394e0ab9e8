"""The ladder up to `depth`: tables, plots, and the metrics of the model that `depth` names."""

from pathlib import Path

import pandas as pd

from deepen import figures, page, tables
from deepen.augmentation import Augmentation
from deepen.images import load_images
from deepen.predictions import load_predictions
from deepen.records import load_records
from deepen.settings import load_settings
from deepen.spreadsheets import as_csv
from deepen.statistics import load_statistics
from deepen.weights import load_state, load_weights
from deepen.writing import write_json, write_text
from pipeline import run


def report() -> None:
    settings = load_settings()
    depth = settings.depth
    records = load_records(Path(f"records/{depth}.json"))
    write_json(Path("metrics/final.json"), records[-1].metrics)

    reports = Path("reports")
    table = tables.results_table(records)
    write_text(reports / "table.csv", as_csv(table))
    write_text(reports / "table.md", tables.as_markdown(table, records))

    curves, topk = tables.curves_table(records), tables.topk_table(records)
    write_text(reports / "curves.csv", as_csv(curves))
    write_text(reports / "topk.csv", as_csv(topk))
    figures.save_figure(figures.draw_curves(curves), reports / "curves.png")
    figures.save_figure(figures.draw_depth(topk), reports / "depth.png")

    card, state = load_weights(Path(f"weights/{depth}.safetensors"))
    predictions = load_predictions(Path(f"predictions/{depth}.json"))
    named = pd.DataFrame({"actual": predictions.actual, "predicted": predictions.predicted})
    write_text(reports / "confusion.csv", as_csv(named.map(card.classes.__getitem__)))
    title = f"Model {depth} on the test images"
    confusion = figures.draw_confusion(predictions.actual, predictions.predicted, card.classes, title)
    figures.save_figure(confusion, reports / "confusion.png")
    first = next(layer.role for layer in card.plan() if layer.kind == "conv")
    after, before = (
        weights[f"{first}.weight"] for weights in (state, load_state(Path(f"weights/init/{depth}.safetensors")))
    )
    figures.save_figure(figures.draw_filters(after, f"{first} of model {depth}", before), reports / "filters.png")

    augmentation = Augmentation.of(settings.dataset, settings.training)
    statistics = load_statistics(Path("metrics/statistics.json"))
    shown = figures.draw_augmentation(
        load_images(Path("data/train.safetensors")), augmentation, statistics, settings.seed
    )
    figures.save_figure(shown, reports / "augmentation.png")

    pictures = page.Pictures(
        augmentation=(reports / "augmentation.png").read_bytes(),
        role=first,
        filters_before=figures.as_png(figures.draw_filters(before, f"{first} before model {depth} was trained", after)),
        filters_after=(reports / "filters.png").read_bytes(),
    )
    mistakes = load_images(Path(f"predictions/{depth}-mistakes.safetensors"))
    write_text(reports / "index.html", page.render(records, card.classes, mistakes, predictions, pictures))


if __name__ == "__main__":
    run(report)
