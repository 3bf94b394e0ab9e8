"""Benchmark of data augmentation: batches with flip, crop, colour shift and mean, against a DataLoader."""

import time
from statistics import median
from typing import Any

import torch

from benchmarks.data import make_random_images
from benchmarks.measure import THREADS, alternate, measure_median_seconds, report, run_benchmark
from benchmarks.plain import PlainImages, make_training_batches, make_training_transform
from benchmarks.step import time_deepen_step
from deepen.core.seeding import make_generator
from deepen.data.augmentation import Augmentation, AugmentedImages
from deepen.data.statistics import compute_statistics
from deepen.runtime.device import choose_device

BATCH, IMAGES = 128, 10_000


def time_deepen_batches() -> float:
    """Return seconds per batch."""
    device, images = choose_device("cpu", THREADS), make_random_images(IMAGES).images
    augmented = AugmentedImages(images, Augmentation(True, 0.125, 0.1), compute_statistics(images), device)
    rows = torch.randperm(IMAGES)[:BATCH]
    draws = iter(range(10**9))
    return measure_median_seconds(
        lambda: augmented.batch(rows, make_generator(device, next(draws))), calls=300, warm_up=30
    )


def time_plain_batches(workers: int) -> float:
    """Return seconds per batch over an epoch, once the workers have started."""
    torch.set_num_threads(THREADS)
    images = make_random_images(IMAGES)
    dataset = PlainImages(images.images, images.labels, make_training_transform(compute_statistics(images.images), 32))
    batches = iter(make_training_batches(dataset, BATCH, workers))
    next(batches)
    start = time.perf_counter()
    count = sum(1 for _ in batches)
    return (time.perf_counter() - start) / count


def main() -> None:
    programs: dict[str, Any] = {"deepen": (time_deepen_batches, ())}
    programs |= {f"plain, {workers} workers": (time_plain_batches, (workers,)) for workers in (0, THREADS)}
    seconds = {name: median(times) for name, times in alternate(programs, 3).items()}
    step = median(alternate({"step": (time_deepen_step, ("I", 1.0))}, 3)["step"])
    report(
        "augmentation",
        [
            {
                "program": name,
                "images/s": BATCH / per_batch,
                "deepen is faster": per_batch / seconds["deepen"],
                "percent of a step of I": 100 * per_batch / step,
            }
            for name, per_batch in seconds.items()
        ],
        batch=BATCH,
        images=IMAGES,
    )


if __name__ == "__main__":
    run_benchmark(main, __doc__)
