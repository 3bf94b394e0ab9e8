"""Benchmark of the training time to 70 % test top-1, for model I at a quarter of the width on 25,000 images.

Accuracy is with flip averaging. Deepen trains for the epochs that params.yaml gives model I. Plain PyTorch trains with
softmax before cross-entropy, default initialization and a learning rate of 0.01, until it reaches the goal or gives up.
"""

import time
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from benchmarks.data import load_real_images, parse_images_argument, plan_model
from benchmarks.measure import THREADS, report, run_in_process
from benchmarks.plain import (
    PlainImages,
    compute_plain_topk,
    make_plain_network,
    make_plain_optimizer,
    make_test_transform,
    make_training_batches,
    make_training_transform,
    run_plain_epoch,
)
from deepen.config.settings import load_settings
from deepen.data.augmentation import Augmentation
from deepen.data.images import ImageSet
from deepen.data.split import hold_out
from deepen.data.statistics import compute_statistics
from deepen.evaluation.accuracy import evaluate
from deepen.growth.initialization import draw_he_weights
from deepen.models.vgg import build_network
from deepen.runtime.device import choose_device
from deepen.training.trainer import Trainer

IMAGES, GOAL, WIDTH, SEED = 25_000, 70.0, 0.25, 0
GIVE_UP = 25  # times as long as Deepen's


def train_deepen(path: Path) -> dict[str, float]:
    """Train with Deepen; return the training time (seconds), epochs and final accuracy (percent)."""
    device, settings = choose_device("cpu", THREADS), load_settings()
    train_images, test = _images(path)
    training, epochs = settings.recipes["onecycle"].training, settings.epochs("I", len(train_images))
    layers = plan_model("I", WIDTH)
    net = build_network(layers, draw_he_weights(layers, seed=SEED, model="I"), training.dropout)
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
    evaluation = evaluate(net, test, trainer.mean, flip_averaging=True, batch_size=500)
    return {"seconds": seconds, "epochs": epochs, "top1": evaluation.percent(1)}


def train_plain(path: Path, limit: float) -> dict[str, float]:
    """Train with plain PyTorch until the goal or `limit`; return the training time without evaluation, and accuracy."""
    torch.set_num_threads(THREADS)
    torch.manual_seed(SEED)
    train_images, test = _images(path)
    statistics = compute_statistics(train_images.images)
    dataset = PlainImages(train_images.images, train_images.labels, make_training_transform(statistics, 32))
    batches = make_training_batches(dataset, 128, THREADS)
    tests = DataLoader(PlainImages(test.images, test.labels, make_test_transform(statistics)), 500)
    net = make_plain_network(plan_model("I", WIDTH))
    optimizer = make_plain_optimizer(net)
    seconds, epochs, top1 = 0.0, 0, 0.0
    while top1 < GOAL and seconds < limit:
        start = time.perf_counter()
        run_plain_epoch(net, batches, optimizer)
        seconds, epochs = seconds + time.perf_counter() - start, epochs + 1
        top1 = compute_plain_topk(net, tests, ks=[1])[0]
        print(f"plain: epoch {epochs}, {seconds:.0f} s of training, top-1 {top1:.2f} %", flush=True)
    return {"seconds": seconds, "epochs": epochs, "top1": top1}


def _images(path: Path) -> tuple[ImageSet, ImageSet]:
    images, test = load_real_images(path)
    return hold_out(images, 1 - IMAGES / len(images), "benchmark")[0], test


def main() -> None:
    path = parse_images_argument(__doc__)
    results: dict[str, dict[str, Any]] = {"deepen": run_in_process(train_deepen, path)}
    results["plain"] = run_in_process(train_plain, path, GIVE_UP * results["deepen"]["seconds"])
    rows = [
        {
            "program": name,
            **run,
            "reached": run["top1"] >= GOAL,
            "deepen is sooner": run["seconds"] / results["deepen"]["seconds"],
        }
        for name, run in results.items()
    ]
    report("time_to_accuracy", rows, images=IMAGES, model="I", width=WIDTH, goal=GOAL, seed=SEED)


if __name__ == "__main__":
    main()
