"""Benchmark of evaluation: top-1 to top-5 of 10,000 images of 3x32x32 with flip averaging, against a DataLoader."""

import time
from statistics import median
from typing import Any

import torch
from torch.utils.data import DataLoader

from benchmarks.data import make_random_images, plan_model
from benchmarks.measure import THREADS, alternate, report, run_benchmark
from benchmarks.plain import PlainImages, compute_plain_topk, make_plain_network, make_test_transform
from deepen.data.statistics import compute_statistics
from deepen.evaluation.accuracy import evaluate
from deepen.growth.initialization import draw_he_weights
from deepen.models.vgg import build_network
from deepen.runtime.device import choose_device, move_to_device

IMAGES, BATCH = 10_000, 500


def time_deepen_topk(model: str, width: float) -> float:
    """Return seconds."""
    device, images, layers = choose_device("cpu", THREADS), make_random_images(IMAGES), plan_model(model, width)
    net = move_to_device(build_network(layers, draw_he_weights(layers, seed=0, model=model)), device)
    mean = torch.tensor(compute_statistics(images.images).mean)
    start = time.perf_counter()
    evaluate(net, images, mean, flip_averaging=True, batch_size=BATCH)
    return time.perf_counter() - start


def time_plain_topk(model: str, width: float) -> float:
    """Return seconds."""
    torch.set_num_threads(THREADS)
    images = make_random_images(IMAGES)
    dataset = PlainImages(images.images, images.labels, make_test_transform(compute_statistics(images.images)))
    net = make_plain_network(plan_model(model, width))
    start = time.perf_counter()
    compute_plain_topk(net, DataLoader(dataset, BATCH))
    return time.perf_counter() - start


def main() -> None:
    rows = []
    for model, width in (("I", 0.25), ("III", 0.25)):
        programs: dict[str, Any] = {
            "deepen": (time_deepen_topk, (model, width)),
            "plain": (time_plain_topk, (model, width)),
        }
        seconds = {name: median(times) for name, times in alternate(programs, 3).items()}
        rows.append(
            {
                "model": model,
                "width": width,
                "deepen (s)": seconds["deepen"],
                "plain (s)": seconds["plain"],
                "deepen is faster": seconds["plain"] / seconds["deepen"],
            }
        )
    report("evaluation", rows, images=IMAGES, batch=BATCH)


if __name__ == "__main__":
    run_benchmark(main, __doc__)
