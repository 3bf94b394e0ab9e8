"""A training step of models I and III, against the plain one and against what a matrix product reaches.

Both learn by SGD with momentum from 128 images of 32x32. Deepen's step draws and augments its images, the plain one
has them ready. Muon, which the default recipe takes instead of SGD, stands beside them.
"""

from statistics import median
from typing import Any

import torch

from benchmarks.data import ladder_layers, random_images
from benchmarks.measure import THREADS, alternate, matmul_rate, median_seconds, report
from benchmarks.plain import plain_epoch, plain_network, plain_optimizer
from deepen.augmentation import Augmentation
from deepen.device import choose_device
from deepen.growth import he_start
from deepen.layers import training_flops
from deepen.settings import load_settings
from deepen.statistics import compute_statistics
from deepen.trainer import Trainer
from deepen.vgg import network

BATCH, STEPS, EPOCHS = 128, 2, 2


def deepen_step(model: str, width: float, recipe: str = "published") -> float:
    """Seconds."""
    device = choose_device("cpu", THREADS)
    images, layers = random_images(BATCH * STEPS), ladder_layers(model, width)
    training = load_settings().recipes[recipe].training
    trainer = Trainer(
        network(layers, he_start(layers, seed=0, model=model), training.dropout),
        images,
        compute_statistics(images.images),
        Augmentation(flip=True, crop=0.125, color_shift=0.1),
        training,
        model=model,
        peak_lr=1e-6,  # noise is nothing to learn from
        epochs=1 + EPOCHS,
        seed=0,
        device=device,
    )
    epochs = iter(range(1, 2 + EPOCHS))
    return median_seconds(lambda: trainer.epoch(next(epochs), lambda: None), calls=EPOCHS) / STEPS


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
