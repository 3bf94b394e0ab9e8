"""Run the tests that need CUDA and the benchmarks of a card, and write gpu.json and gpu.md.

The ladder trains on a folder or archive of images, such as CIFAR-10's. Every row is written as it is measured. A test
or section that fails is recorded, and the others still run; the exit code is 1 then.
"""

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.gpu import accuracy, agreement, cuda_tests, inference, kernels, precision, speed
from benchmarks.gpu.bench import REHEARSAL, Parts, Size, load_parts, require
from benchmarks.gpu.record import Record
from benchmarks.gpu.sections import Section, Worker
from benchmarks.measure import RESULTS
from deepen.cli.arguments import Parser, parse_path
from deepen.core.entry_point import run_program
from deepen.core.errors import quote

SECTIONS = (
    Section("Matrix products", speed.measure_reference),
    Section("Trainings that must agree", agreement.compare_trainings),
    Section("Steps", speed.time_steps),
    Section("Kernels of a step", kernels.count_kernels),
    Section("Longest kernels of a replayed step", kernels.list_kernels),
    Section("The ladder, epochs of params.yaml", accuracy.train_usual_ladder),
    Section("Larger batches", speed.time_batches),
    Section("Precisions", precision.time_precisions),
    Section("First convolution", speed.time_first_convolution),
    Section("Evaluation", inference.time_evaluation),
    Section("Prediction", inference.time_prediction),
    Section("Compiled steps", speed.time_compiled_steps, share=0.25),
    Section("The ladder, more epochs and seeds", accuracy.train_more, share=1.0, open_ended=True),
)
TESTS = "Tests that need CUDA"
MOST_SECONDS = 1_000_000


def check(record: Record, worker: Worker, sections: Sequence[Section], end: float, seconds: float) -> None:
    """Run the sections one after another, each for at most its share of the `seconds`, until `end`."""
    for section in sections:
        left = min(section.share * seconds, end - time.monotonic())
        record.begin(section.name)
        fault = "no time was left; give it more with --seconds"
        if left > 1:
            fault = worker.run(section, partial(record.add, section.name), left)
        record.end(section.name, fault)
    worker.stop()


def run_tests(record: Record, seconds: float) -> None:
    """Run the tests that need CUDA, as the first section, for at most `seconds`."""
    record.begin(TESTS)
    record.end(TESTS, cuda_tests.run_cuda_tests(partial(record.add, TESTS), seconds))


def parse_arguments() -> argparse.Namespace:
    parser = Parser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument(
        "images", type=parse_path, metavar="IMAGES", help="folder or archive with train/<class>/* and test/<class>/*"
    )
    parser.add_argument(
        "--seconds", type=parse_seconds, default=300, help="for everything; more of it trains more seeds"
    )
    parser.add_argument("--output", type=parse_path, help="folder for gpu.json and gpu.md; default: benchmarks/results")
    parser.add_argument(
        "--rehearse",
        action="store_true",
        help="run small versions, without the tests, on a card if there is one, else on the CPU",
    )
    return parser.parse_args()


def parse_seconds(text: str) -> float:
    """Convert an argument to a positive number; the argparse type of a duration."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= MOST_SECONDS:
        rule = f"must be a number of seconds above 0 and up to {MOST_SECONDS:,}"
        raise argparse.ArgumentTypeError(f"{rule}, got {quote(text)[:60]!r}; write for example 300")
    return seconds


def run(arguments: argparse.Namespace) -> Record:
    """Load the images, run everything, and return the record."""
    end = time.monotonic() + arguments.seconds
    size, device = (REHEARSAL, "auto") if arguments.rehearse else (Size(), "cuda")
    require(arguments.images, gpu=not arguments.rehearse)
    folder = arguments.output or (Path(tempfile.mkdtemp()) if arguments.rehearse else RESULTS)
    record = Record(folder, width=size.width, rehearsal=arguments.rehearse)
    begin = time.monotonic()
    parts: Parts = load_parts(arguments.images.resolve(), size)
    record.set(images=len(parts["train"]), loading_seconds=round(time.monotonic() - begin, 1))
    if not arguments.rehearse:
        run_tests(record, arguments.seconds / 2)
    check(record, Worker(size, parts, device), SECTIONS, end, arguments.seconds)
    record.complete()
    return record


def main() -> None:
    arguments = parse_arguments()
    record = run(arguments)
    if record.is_written:
        print(f"\nWritten: {record.json} and {record.markdown}")
    else:
        print(f"\nNothing was measured; {record.json} and {record.markdown} are those of an earlier run")
    if record.faults:
        print("Failed:", *record.faults, sep="\n- ", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    run_program(main)
