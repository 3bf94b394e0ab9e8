"""Augmented batches ready for the network: flip, crop, colour shift, mean."""

import time
from statistics import median
from typing import Any

import torch

from benchmarks.data import random_images
from benchmarks.measure import THREADS, alternate, median_seconds, report
from benchmarks.plain import PlainImages, for_training, training_batches
from benchmarks.step import deepen_step
from deepen.core.seeding import generator
from deepen.data.augmentation import Augmentation, AugmentedImages
from deepen.data.statistics import compute_statistics
from deepen.runtime.device import choose_device

BATCH, IMAGES = 128, 10_000


def deepen_batches() -> float:
    """Seconds a batch."""
    device, images = choose_device("cpu", THREADS), random_images(IMAGES).images
    augmented = AugmentedImages(images, Augmentation(True, 0.125, 0.1), compute_statistics(images), device)
    rows = torch.randperm(IMAGES)[:BATCH]
    draws = iter(range(10**9))
    return median_seconds(lambda: augmented.batch(rows, generator(device, next(draws))), calls=300, warm_up=30)


def plain_batches(workers: int) -> float:
    """Seconds a batch, over an epoch once the workers are up."""
    torch.set_num_threads(THREADS)
    images = random_images(IMAGES)
    dataset = PlainImages(images.images, images.labels, for_training(compute_statistics(images.images), 32))
    batches = iter(training_batches(dataset, BATCH, workers))
    next(batches)
    start = time.perf_counter()
    count = sum(1 for _ in batches)
    return (time.perf_counter() - start) / count


def main() -> None:
    programs: dict[str, Any] = {"deepen": (deepen_batches, ())}
    programs |= {f"plain, {workers} workers": (plain_batches, (workers,)) for workers in (0, THREADS)}
    seconds = {name: median(found) for name, found in alternate(programs, 3).items()}
    step = median(alternate({"step": (deepen_step, ("I", 1.0))}, 3)["step"])
    report(
        "augmentation",
        [
            {
                "program": name,
                "images/s": BATCH / found,
                "deepen is faster": found / seconds["deepen"],
                "percent of a step of I": 100 * found / step,
            }
            for name, found in seconds.items()
        ],
        batch=BATCH,
        images=IMAGES,
    )


if __name__ == "__main__":
    main()
