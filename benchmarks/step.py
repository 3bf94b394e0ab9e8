"""A training step of models I and III, against the plain one and against what a matrix product reaches.

Both learn by SGD with momentum from 128 images of 32x32. Deepen's step draws and augments its images, the plain one
has them ready. Muon, which the default recipe takes instead of SGD, stands beside them.
"""

from statistics import median
from typing import Any

import torch

from benchmarks.data import BATCH, ladder_layers, noise_trainer, random_images
from benchmarks.measure import THREADS, alternate, matmul_rate, median_seconds, report
from benchmarks.plain import plain_epoch, plain_network, plain_optimizer
from deepen.models.layers import training_flops
from deepen.runtime.device import choose_device

STEPS, EPOCHS = 2, 2


def deepen_step(model: str, width: float, recipe: str = "published") -> float:
    """Seconds."""
    device = choose_device("cpu", THREADS)
    trainer = noise_trainer(random_images(BATCH * STEPS), model, width, recipe, epochs=1 + EPOCHS, device=device)
    epochs = iter(range(1, 2 + EPOCHS))
    return median_seconds(lambda: trainer.run_epoch(next(epochs), lambda: None), calls=EPOCHS) / STEPS


def plain_step(model: str, width: float) -> float:
    """Seconds."""
    torch.set_num_threads(THREADS)
    net = plain_network(ladder_layers(model, width))
    batches: Any = [(torch.randn(BATCH, 3, 32, 32), torch.randint(10, (BATCH,))) for _ in range(STEPS)]
    optimizer = plain_optimizer(net)
    return median_seconds(lambda: plain_epoch(net, batches, optimizer), calls=EPOCHS) / STEPS


def main() -> None:
    rows = []
    for width in (1.0, 0.25):
        for model in ("I", "III"):
            found = alternate(
                {
                    "matmul": (matmul_rate, ()),
                    "deepen": (deepen_step, (model, width)),
                    "plain": (plain_step, (model, width)),
                    "muon": (deepen_step, (model, width, "onecycle")),
                },
                3,
            )
            step, plain, muon, peak = (median(found[name]) for name in ("deepen", "plain", "muon", "matmul"))
            rate = training_flops(ladder_layers(model, width)) * BATCH / step
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
                }
            )
    report("step", rows, batch=BATCH)


if __name__ == "__main__":
    main()
