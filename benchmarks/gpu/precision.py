"""Speed and accuracy of each precision on a card."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch

from benchmarks.gpu.accuracy import choose_usual_epochs, train_ladder
from benchmarks.gpu.bench import Bench
from benchmarks.gpu.sections import Row, measure_row
from benchmarks.gpu.speed import measure_peak, time_step
from deepen.runtime.device import permit_tf32


def time_precisions(bench: Bench) -> Iterator[Row]:
    """Time the last model's step in each precision, and train the first model in it.

    The share is of the rate of matrix products in the same precision. TF32 rounds the inputs of float32 products.
    """
    first, *_, last = bench.plans
    for precision, dtype in {"float32": torch.float32, "tf32": torch.float32, "bfloat16": torch.bfloat16}.items():
        other = replace(bench, dtype=dtype)
        with permit_tf32(precision == "tf32"):
            yield measure_row({"model": last, "precision": precision}, partial(_measure, other, first, last))


def _measure(bench: Bench, first: str, last: str) -> Row:
    """Time a step of the last model, and train the first one."""
    _, peak = measure_peak(bench, bench.dtype)
    row = {"matmul (TFLOP/s)": peak / 1e12} | time_step(bench, last, bench.settings.recipe, peak)
    trained = next(train_ladder(bench, choose_usual_epochs(bench), 0))
    return row | {f"top1 of {first}": trained["top1"]}
