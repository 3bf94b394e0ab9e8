"""`deepen evaluate`: a network judged on images that its project never saw."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabulate import tabulate

from deepen.cli.missing_path import suggest_path
from deepen.cli.predict import add_views
from deepen.cli.weights_file import add_weights, check_weights
from deepen.cli.words import add_command, add_device, one_of
from deepen.core.counts import counted
from deepen.core.errors import InputError, plain

if TYPE_CHECKING:
    from deepen.data.images import ImageSet
    from deepen.evaluation.accuracy import Evaluation
    from deepen.evaluation.predictions import Predictions


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = add_command(
        commands,
        "evaluate",
        "judge a network on other images",
        "Judge a trained network on images that it never saw: top-1 to top-5 accuracy with 95 % intervals (Wilson), "
        "balanced top-1, and how many of each class are recognized. DATA has <class>/* or test/<class>/*, in folders "
        "named as the network's classes; not every class needs one. Where they lie in train/, valid/ and test/, it "
        "takes test/, or the one that --part names.",
        [
            "deepen evaluate weights/III.safetensors other-photos/",
            "deepen evaluate weights/III.safetensors photos.zip --part valid",
        ],
    )
    add_weights(parser)
    parser.add_argument("data", type=Path, metavar="DATA", help="a folder, .tar, .tar.gz, .tar.xz or .zip")
    parser.add_argument(
        "--part",
        type=one_of("train", "val", "valid", "validation", "test"),
        metavar="PART",
        help="which folder's images count: train, val, valid, validation or test (default: test)",
    )
    parser.add_argument(
        "--mistakes",
        type=Path,
        metavar="FILE.csv",
        help="also write all mistakes, the surest first: image, its class, the one it was taken for, probability",
    )
    parser.add_argument("--json", action="store_true", help="the same as JSON")
    parser.add_argument("--single-view", action="store_true", help="without mirror images")
    add_views(parser)
    add_device(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from deepen.datasets.judged import load_judged
    from deepen.inference.classifier import Classifier

    check_weights(options.weights)
    if not os.path.lexists(options.data):
        raise InputError(f"{plain(options.data)}: no such folder or archive{suggest_path(options.data)}")
    network = Classifier(options.weights, options.device, False if options.single_view else None, options.views)
    judged = load_judged(options.data, network.classes, network.card.prepared, options.part)
    for note in judged.notes:
        print(note, file=sys.stderr)
    evaluation = network.evaluate(judged.images)
    predictions = _predictions(evaluation, judged.images)
    found = {"part": judged.part} | _described(evaluation, predictions, judged.images)
    print(json.dumps(found, indent=1) if options.json else _as_tables(found))
    if options.mistakes:
        _write_mistakes(options.mistakes, predictions, judged.images.classes)


def _predictions(found: "Evaluation", images: "ImageSet") -> "Predictions":
    from deepen.evaluation.predictions import Predictions

    names = [images.get_file_name(row) for row in range(len(images))]
    return Predictions(images.labels.tolist(), found.predicted.tolist(), found.probability.tolist(), files=names)


def _write_mistakes(path: Path, predictions: "Predictions", classes: Sequence[str]) -> None:
    from deepen.core.files import write_text
    from deepen.report.mistakes import HEADINGS, mistakes_table
    from deepen.report.spreadsheets import as_csv

    write_text(path, as_csv(mistakes_table(predictions, classes), HEADINGS))


def _described(found: "Evaluation", predictions: "Predictions", images: "ImageSet") -> dict[str, Any]:
    """Accuracies in percent, with their intervals, and what is known of each class that has images."""
    from deepen.evaluation.intervals import wilson_interval

    top = []
    for correct in found.correct:
        low, high = wilson_interval(correct, found.images)
        top.append({"accuracy": 100 * correct / found.images, "low": low, "high": high})
    classes = [
        {"class": images.classes[label], "images": count, "recognized": recognized}
        for label, (recognized, count) in predictions.recall().items()
    ]
    balanced = predictions.balanced()
    return {"images": found.images, "top": top, "balanced_top1": balanced, "loss": found.loss, "classes": classes}


def _as_tables(found: dict[str, Any]) -> str:
    accuracy = [
        (f"top-{k}", row["accuracy"], f"{row['low']:.2f} to {row['high']:.2f}") for k, row in enumerate(found["top"], 1)
    ]
    classes = [
        (plain(row["class"]), row["images"], 100 * row["recognized"] / row["images"]) for row in found["classes"]
    ]
    of = f" of {found['part']}/" if found["part"] else ""
    return "\n\n".join(
        (
            f"{counted(found['images'], 'image')}{of}, accuracy in percent; "
            f"balanced top-1 {found['balanced_top1']:.2f}, loss {found['loss']:.4f} nats",
            tabulate(accuracy, ["", "accuracy", "95 % interval"], floatfmt=".2f"),
            tabulate(classes, ["class", "images", "recognized (%)"], floatfmt=".2f"),
        )
    )
