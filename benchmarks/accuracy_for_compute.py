"""Accuracy for compute: ladders, models from scratch and cifar10-airbench's network, at equal FLOPs on equal images.

Arms and budgets are in a YAML file. Every run is recorded as a line of a file; recorded runs are not repeated. A change
of the program's own code is not noticed: name another file for its runs. Tables and a figure are written beside it.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import pandas as pd
import torch

from benchmarks.accuracy.arms import Arm, Comparison, Precision, load_comparison
from benchmarks.accuracy.by_budget import check_budget, check_budgets_differ
from benchmarks.accuracy.runs import (
    Row,
    Run,
    check_one_machine,
    describe_device,
    find_row,
    hash_images,
    list_runs,
    read_rows,
    record,
)
from benchmarks.accuracy.summary import draw, tabulate_arms, tabulate_differences
from benchmarks.accuracy.training import train_arm
from benchmarks.data import load_real_images
from benchmarks.measure import RESULTS, THREADS
from deepen.core.entry_point import run_program
from deepen.core.errors import InputError, format_faults
from deepen.core.files import write_text
from deepen.data.images import ImageSet
from deepen.data.split import hold_out
from deepen.runtime.device import choose_device
from study.figures import save_figure

ARMS = Path(__file__).parent / "accuracy/arms.yaml"
HELD_OUT = 0.1  # of the training images, for choosing


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, help="folder or archive with train/<class>/* and test/<class>/*")
    parser.add_argument("--arms", type=Path, default=ARMS, metavar="FILE", help="YAML file of budgets and arms")
    parser.add_argument("--arm", action="append", default=[], metavar="NAME=PARAMS", help="one more ladder; repeatable")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="of the arms, train and show these")
    parser.add_argument("--budgets", nargs="+", default=[], metavar="PFLOP", help="in place of those of the file")
    parser.add_argument("--seeds", type=int, metavar="NUMBER", help="of each budget, in place of those of the file")
    parser.add_argument("--runs", type=Path, default=RESULTS / "accuracy_for_compute.jsonl", help="file of the runs")
    parser.add_argument("--recorded", action="store_true", help="train nothing: show the runs of the file")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", choices=get_args(Precision), help="in place of those of the arms")
    parser.add_argument("--threads", type=int, default=THREADS, metavar="NUMBER", help="of the CPU")
    split = parser.add_mutually_exclusive_group()
    split.add_argument("--validation", action="store_true", help="for choosing: score held-out training images")
    split.add_argument("--all-images", action="store_true", help="train on all training images: none is held out")
    options = parser.parse_args(arguments)
    if options.threads < 1:
        raise InputError(f"--threads: must be at least 1, got {options.threads}; write for example 1")
    if options.runs.suffix != ".jsonl":
        raise InputError(
            f"--runs: must end in .jsonl, got {options.runs}; the table and the figure beside it end in .md and .png"
        )
    return options


def choose_comparison(options: argparse.Namespace) -> Comparison:
    """Return the arms and budgets that the command line asks for; raises InputError."""
    comparison = load_comparison(options.arms)
    arms = dict(comparison.arms)
    for text in options.arm:
        name, _, params = text.partition("=")
        if not name or not params:
            raise InputError(f"--arm: must be a name and a file, got {text}; write for example --arm fast=fast.yaml")
        arms[name] = Arm(params=params)
    names = options.only or list(arms)
    if unknown := [name for name in names if name not in arms]:
        raise InputError(f"--only: unknown arm {unknown[0]!r}; use some of {', '.join(arms)}")
    seeds = {float(budget): count for budget, count in comparison.budgets.items()}
    budgets = {text: seeds.get(float(text), 1) for text in check_budgets(options.budgets)} or comparison.budgets
    if options.seeds is not None and options.seeds < 1:
        raise InputError(f"--seeds: must be at least 1, got {options.seeds}; write for example 3")
    if options.seeds is not None:
        budgets = dict.fromkeys(budgets, options.seeds)
    changes = {"precision": options.precision} if options.precision else {}
    return Comparison(budgets=budgets, arms={name: arms[name].model_copy(update=changes) for name in names})


def check_budgets(texts: Sequence[str]) -> Sequence[str]:
    """Return budgets (PFLOP) of the command line; raises InputError."""
    try:
        check_budgets_differ([check_budget(text) for text in texts])
    except ValueError as error:
        raise InputError(f"--budgets: {error}, got {' '.join(texts)}; write for example --budgets 0.03 0.1") from error
    return texts


def split_images(options: argparse.Namespace) -> tuple[ImageSet, ImageSet]:
    """Load the images to train on and to score: test images only if nothing is to be chosen by them."""
    images, test = load_real_images(options.images.resolve())
    if options.all_images:
        return images, test
    kept, held = hold_out(images, HELD_OUT, "validation")
    return kept, held if options.validation else test


def train_runs(
    runs: Sequence[Run], comparison: Comparison, images: ImageSet, test: ImageSet, path: Path, device: torch.device
) -> dict[Run, Row]:
    """Train and record runs; print why a run failed, and leave it out."""
    rows = {}
    for run in runs:
        title = f"{run.arm}, {run.budget:g} PFLOP, seed {run.seed}:"
        try:
            result = train_arm(comparison.arms[run.arm], run.budget, run.seed, images, test, device)
        except InputError as error:
            print(title, *format_faults(error), sep="\n" if len(error.faults) > 1 else " ", flush=True)
            continue
        rows[run] = row = record(path, run, result, len(images), device)
        print(
            f"{title} {row['single']:.2f} % from one view, {row['averaged']:.2f} averaged, "
            f"{row['flops'] / 1e15:.4f} PFLOP, {row['seconds']:.1f} s",
            flush=True,
        )
    return rows


def show(rows: Sequence[Row], comparison: Comparison, path: Path, scored: str) -> None:
    """Print the tables of recorded runs, and write them and the figure beside the file of the runs."""
    runs = pd.DataFrame(rows)
    against = {
        name: [other for other in arm.against if other in comparison.arms] for name, arm in comparison.arms.items()
    }
    tables = [tabulate_arms(runs), tabulate_differences(runs, against)]
    precision = " or ".join(dict.fromkeys(arm.precision for arm in comparison.arms.values()))
    trained = f"Trained on {rows[0]['training_images']:,} images with precision {precision}"
    text = f"{trained}, scored on {scored}, {rows[0]['device']}.\n\n"
    text += "\n\n".join(table.to_markdown(index=False, floatfmt=".4g") for table in tables if len(table)) + "\n"
    print(text)
    write_text(path.with_suffix(".md"), text)
    save_figure(draw(runs), path.with_suffix(".png"))


def main() -> None:
    options = parse_arguments()
    comparison = choose_comparison(options)
    device = choose_device(options.device, options.threads)
    recorded = read_rows(options.runs)
    images, test = split_images(options)
    rows = {run: find_row(run, recorded) for run in list_runs(comparison, hash_images(images, test))}
    missing = [] if options.recorded else [run for run, row in rows.items() if row is None]
    check_one_machine([row for row in rows.values() if row], options.runs, describe_device(device) if missing else None)
    trained = train_runs(missing, comparison, images, test, options.runs, device)
    shown = [row for row in (rows | trained).values() if row]
    if shown:
        scored = f"{len(test):,} {'held-out training' if options.validation else 'test'} images"
        show(shown, comparison, options.runs, scored)
    if failed := len(missing) - len(trained):
        raise InputError(f"{failed} of {failed + len(shown)} trainings failed, see above; change their arms")
    if not shown:
        raise InputError(f"{options.runs}: has none of these runs; leave out --recorded to train them")


if __name__ == "__main__":
    run_program(main)
