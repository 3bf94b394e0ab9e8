"""Run the tests that need CUDA and the benchmarks of a card, and write gpu.json and gpu.md.

The ladder trains on a folder or archive of images, such as CIFAR-10's. Every row is written as it is measured. A test
or section that fails is recorded, and the others still run; the exit code is 1 then.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.gpu import accuracy, agreement, cuda_tests, inference, kernels, precision, speed
from benchmarks.gpu.bench import REHEARSAL, Parts, Size, load_parts, require_gpu
from benchmarks.gpu.record import Record
from benchmarks.gpu.sections import Section, Worker
from benchmarks.measure import RESULTS
from deepen.core.entry_point import run_program

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
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("images", type=Path, help="folder or archive with train/<class>/* and test/<class>/*")
    parser.add_argument("--seconds", type=float, default=300, help="for everything; more of it trains more seeds")
    parser.add_argument("--output", type=Path, help="folder for gpu.json and gpu.md; default: benchmarks/results")
    parser.add_argument("--rehearse", action="store_true", help="run small versions on any device, without the tests")
    return parser.parse_args()


def run(arguments: argparse.Namespace) -> Record:
    """Load the images, run everything, and return the record."""
    end = time.monotonic() + arguments.seconds
    size, device = (REHEARSAL, "auto") if arguments.rehearse else (Size(), "cuda")
    if not arguments.rehearse:
        require_gpu()
    folder = arguments.output or (Path(tempfile.mkdtemp()) if arguments.rehearse else RESULTS)
    begin = time.monotonic()
    parts: Parts = load_parts(arguments.images.resolve(), size)
    loading = round(time.monotonic() - begin, 1)
    record = Record(
        folder, width=size.width, images=len(parts["train"]), rehearsal=arguments.rehearse, loading_seconds=loading
    )
    if not arguments.rehearse:
        run_tests(record, arguments.seconds / 2)
    check(record, Worker(size, parts, device), SECTIONS, end, arguments.seconds)
    record.complete()
    return record


def main() -> None:
    arguments = parse_arguments()
    record = run(arguments)
    print(f"\nWritten: {record.json} and {record.markdown}")
    if record.faults:
        print("Failed:", *record.faults, sep="\n- ", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    run_program(main)
