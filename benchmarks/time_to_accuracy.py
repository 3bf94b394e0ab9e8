"""Training time until model I at a quarter of the width, learning from 25,000 images, reaches 70 % test top-1.

Accuracy is with flip averaging. Deepen trains for the epochs that params.yaml gives model I. The plain recipe: softmax
before cross-entropy, PyTorch's start, a learning rate of 0.01, until it gets there or gives up.
"""

import time
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from benchmarks.data import images_argument, ladder_layers, real_images
from benchmarks.measure import THREADS, in_its_own_process, report
from benchmarks.plain import (
    PlainImages,
    for_testing,
    for_training,
    plain_epoch,
    plain_network,
    plain_optimizer,
    plain_topk,
    training_batches,
)
from deepen.config.settings import load_settings
from deepen.data.augmentation import Augmentation
from deepen.data.images import ImageSet
from deepen.data.split import hold_out
from deepen.data.statistics import compute_statistics
from deepen.evaluation.accuracy import evaluate
from deepen.growth.initialization import he_start
from deepen.models.vgg import network
from deepen.runtime.device import choose_device
from deepen.training.trainer import Trainer

IMAGES, GOAL, WIDTH, SEED = 25_000, 70.0, 0.25, 0
GIVE_UP = 25  # times as long as Deepen's


def deepen_seconds(path: Path) -> dict[str, float]:
    """Training time and the accuracy it ends with."""
    device, settings = choose_device("cpu", THREADS), load_settings()
    train_images, test = _images(path)
    training, epochs = settings.recipes["onecycle"].training, settings.epochs("I", len(train_images))
    layers = ladder_layers("I", WIDTH)
    net = network(layers, he_start(layers, seed=SEED, model="I"), training.dropout)
    start = time.perf_counter()
    trainer = Trainer(
        net,
        train_images,
        compute_statistics(train_images.images),
        Augmentation(flip=True, crop=0.125, color_shift=training.color_shift),
        training,
        model="I",
        peak_lr=training.lr,
        epochs=epochs,
        seed=SEED,
        device=device,
    )
    for epoch in range(1, epochs + 1):
        trainer.run_epoch(epoch, lambda: None)
    seconds = time.perf_counter() - start
    found = evaluate(net, test, trainer.mean, flip_averaging=True, batch_size=500)
    return {"seconds": seconds, "epochs": epochs, "top1": found.percent(1)}


def plain_seconds(path: Path, limit: float) -> dict[str, float]:
    """Training time (evaluation left out) until the goal or `limit`, and the accuracy reached."""
    torch.set_num_threads(THREADS)
    torch.manual_seed(SEED)
    train_images, test = _images(path)
    statistics = compute_statistics(train_images.images)
    dataset = PlainImages(train_images.images, train_images.labels, for_training(statistics, 32))
    batches = training_batches(dataset, 128, THREADS)
    tests = DataLoader(PlainImages(test.images, test.labels, for_testing(statistics)), 500)
    net = plain_network(ladder_layers("I", WIDTH))
    optimizer = plain_optimizer(net)
    seconds, epochs, top1 = 0.0, 0, 0.0
    while top1 < GOAL and seconds < limit:
        start = time.perf_counter()
        plain_epoch(net, batches, optimizer)
        seconds, epochs = seconds + time.perf_counter() - start, epochs + 1
        top1 = plain_topk(net, tests, ks=[1])[0]
        print(f"plain: epoch {epochs}, {seconds:.0f} s of training, top-1 {top1:.2f} %", flush=True)
    return {"seconds": seconds, "epochs": epochs, "top1": top1}


def _images(path: Path) -> tuple[ImageSet, ImageSet]:
    images, test = real_images(path)
    return hold_out(images, 1 - IMAGES / len(images), "benchmark")[0], test


def main() -> None:
    path = images_argument(__doc__)
    found: dict[str, dict[str, Any]] = {"deepen": in_its_own_process(deepen_seconds, path)}
    found["plain"] = in_its_own_process(plain_seconds, path, GIVE_UP * found["deepen"]["seconds"])
    rows = [
        {
            "program": name,
            **run,
            "reached": run["top1"] >= GOAL,
            "deepen is sooner": run["seconds"] / found["deepen"]["seconds"],
        }
        for name, run in found.items()
    ]
    report("time_to_accuracy", rows, images=IMAGES, model="I", width=WIDTH, goal=GOAL, seed=SEED)


if __name__ == "__main__":
    main()
