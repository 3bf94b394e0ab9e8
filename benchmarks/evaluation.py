"""Top-1 to top-5 of 10,000 images of 3x32x32 with flip averaging."""

import time
from statistics import median
from typing import Any

import torch
from torch.utils.data import DataLoader

from benchmarks.data import ladder_layers, random_images
from benchmarks.measure import THREADS, alternate, report
from benchmarks.plain import PlainImages, for_testing, plain_network, plain_topk
from deepen.data.statistics import compute_statistics
from deepen.evaluation.accuracy import evaluate
from deepen.growth.initialization import he_start
from deepen.models.vgg import network
from deepen.runtime.device import choose_device, place

IMAGES, BATCH = 10_000, 500


def deepen_topk(model: str, width: float) -> float:
    """Seconds."""
    device, images, layers = choose_device("cpu", THREADS), random_images(IMAGES), ladder_layers(model, width)
    net = place(network(layers, he_start(layers, seed=0, model=model)), device)
    mean = torch.tensor(compute_statistics(images.images).mean)
    start = time.perf_counter()
    evaluate(net, images, mean, flip_averaging=True, batch_size=BATCH)
    return time.perf_counter() - start


def plain_topks(model: str, width: float) -> float:
    """Seconds."""
    torch.set_num_threads(THREADS)
    images = random_images(IMAGES)
    dataset = PlainImages(images.images, images.labels, for_testing(compute_statistics(images.images)))
    net = plain_network(ladder_layers(model, width))
    start = time.perf_counter()
    plain_topk(net, DataLoader(dataset, BATCH))
    return time.perf_counter() - start


def main() -> None:
    rows = []
    for model, width in (("I", 0.25), ("III", 0.25)):
        programs: dict[str, Any] = {"deepen": (deepen_topk, (model, width)), "plain": (plain_topks, (model, width))}
        seconds = {name: median(found) for name, found in alternate(programs, 3).items()}
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
    main()
