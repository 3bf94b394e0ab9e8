"""Benchmark of training steps of models I and III, against plain PyTorch and against the rate of a matrix product.

Both train with SGD and momentum on 128 images of 32x32. Deepen's step includes shuffling and augmentation; the plain
step has its images ready. The table also has Deepen's step with Muon, the default recipe's optimizer, in float32 and
in bfloat16.
"""

from statistics import median
from typing import Any

import torch

from benchmarks.data import BATCH, make_noise_trainer, make_random_images, plan_model
from benchmarks.measure import THREADS, alternate, measure_matmul_rate, measure_median_seconds, report, run_benchmark
from benchmarks.plain import make_plain_network, make_plain_optimizer, run_plain_epoch
from deepen.models.layers import count_training_flops
from deepen.runtime.device import choose_device

STEPS, EPOCHS = 2, 2


def time_deepen_step(model: str, width: float, recipe: str = "published", dtype: torch.dtype = torch.float32) -> float:
    """Return seconds per step."""
    device = choose_device("cpu", THREADS)
    trainer = make_noise_trainer(
        make_random_images(BATCH * STEPS), model, width, recipe, epochs=1 + EPOCHS, device=device, dtype=dtype
    )
    epochs = iter(range(1, 2 + EPOCHS))
    return measure_median_seconds(lambda: trainer.run_epoch(next(epochs), lambda: None), calls=EPOCHS) / STEPS


def time_plain_step(model: str, width: float) -> float:
    """Return seconds per step."""
    torch.set_num_threads(THREADS)
    net = make_plain_network(plan_model(model, width))
    batches: Any = [(torch.randn(BATCH, 3, 32, 32), torch.randint(10, (BATCH,))) for _ in range(STEPS)]
    optimizer = make_plain_optimizer(net)
    return measure_median_seconds(lambda: run_plain_epoch(net, batches, optimizer), calls=EPOCHS) / STEPS


def main() -> None:
    rows = []
    for width in (1.0, 0.25):
        for model in ("I", "III"):
            results = alternate(
                {
                    "matmul": (measure_matmul_rate, ()),
                    "deepen": (time_deepen_step, (model, width)),
                    "plain": (time_plain_step, (model, width)),
                    "muon": (time_deepen_step, (model, width, "onecycle")),
                    "half": (time_deepen_step, (model, width, "onecycle", torch.bfloat16)),
                },
                3,
            )
            step, plain, muon, half, peak = (
                median(results[name]) for name in ("deepen", "plain", "muon", "half", "matmul")
            )
            rate = count_training_flops(plan_model(model, width)) * BATCH / step
            rows.append(
                {
                    "model": model,
                    "width": width,
                    "step (ms)": 1000 * step,
                    "images/s": BATCH / step,
                    "plain step (ms)": 1000 * plain,
                    "deepen is faster": plain / step,
                    "GFLOP/s": rate / 1e9,
                    "matmul GFLOP/s": peak / 1e9,
                    "percent of matmul": 100 * rate / peak,
                    "step with Muon (ms)": 1000 * muon,
                    "in bfloat16 (ms)": 1000 * half,
                }
            )
    report("step", rows, batch=BATCH)


if __name__ == "__main__":
    run_benchmark(main, __doc__)
