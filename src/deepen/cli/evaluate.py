"""`deepen evaluate`: measure the accuracy of a trained network on other images."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabulate import tabulate

from deepen.cli.arguments import add_command, add_device, make_choice_type, parse_path
from deepen.cli.missing_path import require_path
from deepen.cli.output_file import check_output
from deepen.cli.predict import add_views
from deepen.cli.table_options import add_table, make_table_choice
from deepen.cli.weights_file import add_weights, check_weights
from deepen.core.counts import pluralize
from deepen.core.errors import InputError, quote

if TYPE_CHECKING:
    from deepen.data.images import ImageSet
    from deepen.evaluation.accuracy import Evaluation
    from deepen.evaluation.predictions import Predictions


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = add_command(
        commands,
        "evaluate",
        "measure a network's accuracy on other images",
        "Evaluate a trained network on other labelled images: top-1 to top-5 accuracy with 95 % intervals (Wilson), "
        "balanced top-1 and per-class recall. DATA has <class>/* or test/<class>/*, with folders named after the "
        "network's classes; classes may be missing. If DATA has train/, valid/ and test/, test/ is used, or the one "
        "given with --part. With --labels, the classes are in a table, as in training with labels: labels.csv; the "
        "metadata.csv of Hugging Face's imagefolder is found without it.",
        [
            "deepen evaluate weights/III.safetensors other-photos/",
            "deepen evaluate weights/III.safetensors photos.zip --part valid",
            "deepen evaluate weights/III.safetensors photos/ --labels labels.csv",
        ],
    )
    add_weights(parser)
    parser.add_argument(
        "data", type=parse_path, metavar="DATA", help="labelled images: a folder, .tar, .tar.gz, .tar.xz or .zip"
    )
    parser.add_argument(
        "--part",
        type=make_choice_type("train", "val", "valid", "validation", "test"),
        metavar="PART",
        help="the folder to evaluate: train, val, valid, validation or test (default: test)",
    )
    add_table(parser)
    parser.add_argument(
        "--mistakes",
        type=parse_path,
        metavar="FILE.csv",
        help="also write all misclassified images, most confident first: image, class, predicted class, probability",
    )
    parser.add_argument("--force", action="store_true", help="replace an existing file of --mistakes")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--single-view", action="store_true", help="do not average over mirror images")
    add_views(parser)
    add_device(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from deepen.datasets.judged import load_judged
    from deepen.inference.classifier import Classifier

    check_weights(options.weights)
    require_path(options.data, "folder or archive")
    if options.force and not options.mistakes:
        raise InputError("--force: requires --mistakes; add --mistakes FILE.csv, or omit --force")
    choice = make_table_choice(options)
    if options.mistakes:
        inputs = filter(None, (options.weights, options.data, choice.find_outside()))
        check_output(options.mistakes, "--mistakes", tuple(inputs), force=options.force)
    flips = False if options.single_view else None
    network = Classifier(options.weights, options.device, flips, options.views, options.precision)
    labelled = load_judged(options.data, network.classes, network.card.prepared, options.part, choice)
    for note in labelled.notes:
        print(note, file=sys.stderr)
    evaluation = network.evaluate(labelled.images)
    predictions = _make_predictions(evaluation, labelled.images)
    summary = {"part": labelled.part, "precision": network.precision} | _summarize(
        evaluation, predictions, labelled.images
    )
    print(json.dumps(summary, indent=1) if options.json else _format_tables(summary))
    if options.mistakes:
        _write_mistakes(options.mistakes, predictions, labelled.images.classes)


def _make_predictions(evaluation: "Evaluation", images: "ImageSet") -> "Predictions":
    from deepen.evaluation.predictions import Predictions

    names = [images.get_file_name(row) for row in range(len(images))]
    return Predictions(
        images.labels.tolist(), evaluation.predicted.tolist(), evaluation.probability.tolist(), files=names
    )


def _write_mistakes(path: Path, predictions: "Predictions", classes: Sequence[str]) -> None:
    from deepen.core.files import write_text
    from deepen.report.mistakes import HEADINGS, make_mistakes_table
    from deepen.report.spreadsheets import format_csv

    write_text(path, format_csv(make_mistakes_table(predictions, classes), HEADINGS))


def _summarize(evaluation: "Evaluation", predictions: "Predictions", images: "ImageSet") -> dict[str, Any]:
    """Return accuracies in percent with their intervals, and counts per class that has images."""
    from deepen.evaluation.intervals import wilson_interval

    top = []
    for correct in evaluation.correct:
        low, high = wilson_interval(correct, evaluation.images)
        top.append({"accuracy": 100 * correct / evaluation.images, "low": low, "high": high})
    classes = [
        {"class": images.classes[label], "images": count, "recognized": recognized}
        for label, (recognized, count) in predictions.recall().items()
    ]
    balanced = predictions.balanced()
    return {
        "images": evaluation.images,
        "top": top,
        "balanced_top1": balanced,
        "loss": evaluation.loss,
        "classes": classes,
    }


def _format_tables(summary: dict[str, Any]) -> str:
    accuracy = [
        (f"top-{k}", row["accuracy"], f"{row['low']:.2f} to {row['high']:.2f}")
        for k, row in enumerate(summary["top"], 1)
    ]
    classes = [
        (quote(row["class"]), row["images"], 100 * row["recognized"] / row["images"]) for row in summary["classes"]
    ]
    part = f" of {summary['part']}/" if summary["part"] else ""
    return "\n\n".join(
        (
            f"{pluralize(summary['images'], 'image')}{part}, accuracy in percent, computed in {summary['precision']}; "
            f"balanced top-1 {summary['balanced_top1']:.2f}, loss {summary['loss']:.4f} nats",
            tabulate(accuracy, ["", "accuracy", "95 % interval"], floatfmt=".2f"),
            tabulate(classes, ["class", "images", "recall (%)"], floatfmt=".2f"),
        )
    )
