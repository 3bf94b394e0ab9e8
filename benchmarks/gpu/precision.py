"""Speed and accuracy of each precision on a card."""

from collections.abc import Iterator
from dataclasses import replace

import torch

from benchmarks.gpu.accuracy import choose_usual_epochs, train_ladder
from benchmarks.gpu.bench import Bench
from benchmarks.gpu.sections import Row
from benchmarks.gpu.speed import time_step
from benchmarks.measure import measure_matmul_rate
from deepen.runtime.device import permit_tf32


def time_precisions(bench: Bench) -> Iterator[Row]:
    """Time the last model's step in each precision, and train the first model in it.

    The share is of the rate of matrix products in the same precision. TF32 rounds the inputs of float32 products.
    """
    first, *_, last = bench.plans
    for precision, dtype in {"float32": torch.float32, "tf32": torch.float32, "bfloat16": torch.bfloat16}.items():
        other = replace(bench, dtype=dtype)
        with permit_tf32(precision == "tf32"):
            peak = measure_matmul_rate(dtype, str(bench.device), bench.size.side)
            row = {"model": last, "precision": precision, "matmul (TFLOP/s)": peak / 1e12}
            row |= time_step(other, last, bench.settings.recipe, peak)
            trained = next(train_ladder(other, choose_usual_epochs(bench), 0))
            yield row | {f"top1 of {first}": trained["top1"]}
