"""Benchmark of prediction: 10,000 image files through `Classifier.stream`, against the network alone."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import torch
from PIL import Image

from benchmarks.data import load_layers, make_random_images
from benchmarks.measure import THREADS, alternate, report, run_benchmark
from deepen.evaluation.accuracy import infer
from deepen.growth.initialization import draw_he_weights
from deepen.inference.classifier import BATCH, Classifier
from deepen.models.networks import load_network
from deepen.models.weights import ModelCard, save_weights
from deepen.runtime.device import move_to_device

IMAGES, MODEL, WIDTH = 10_000, "III", 0.25


def measure_files(folder: Path) -> float:
    """Return the images per second from JPEG files to probabilities."""
    torch.set_num_threads(THREADS)
    classifier, files = Classifier(folder / "weights", "cpu"), sorted(folder.glob("*.jpg"))
    start = time.perf_counter()
    answers = sum(answer.probabilities is not None for answer in classifier.stream(files))
    return answers / (time.perf_counter() - start)


def measure_network(folder: Path) -> float:
    """Return the images per second from pixels in memory to probabilities, in batches of the same size."""
    torch.set_num_threads(THREADS)
    card, network = load_network(folder / "weights")
    images, mean = torch.from_numpy(make_random_images(IMAGES).images), torch.tensor(card.mean)
    placed_network = move_to_device(network, torch.device("cpu"))
    start = time.perf_counter()
    with torch.inference_mode():
        for batch in images.split(BATCH):  # type: ignore[no-untyped-call]
            infer(placed_network, batch, mean, flip_averaging=card.flip, dtype=torch.float32)
    return IMAGES / (time.perf_counter() - start)


@contextmanager
def make_inputs() -> Iterator[Path]:
    """Make a folder with an untrained network and noise as JPEG files, which are slower to decode than photos."""
    with tempfile.TemporaryDirectory() as name:
        folder, images = Path(name), make_random_images(IMAGES)
        layers = load_layers(MODEL)
        card = ModelCard(
            model=MODEL,
            layers=layers,
            width=WIDTH,
            image=images.shape,
            classes=images.classes,
            mean=(0.5, 0.5, 0.5),
            flip=True,
        )
        save_weights(folder / "weights", draw_he_weights(card.plan(), seed=0, model=MODEL), card)
        for i, image in enumerate(images.images):
            Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{i:05}.jpg", quality=75)
        yield folder


def main() -> None:
    with make_inputs() as folder:
        programs: dict[str, Any] = {"files": (measure_files, (folder,)), "network": (measure_network, (folder,))}
        rates = {name: median(runs) for name, runs in alternate(programs, 3).items()}
    row = {
        "model": MODEL,
        "width": WIDTH,
        "files (images/s)": rates["files"],
        "network alone (images/s)": rates["network"],
        "percent": 100 * rates["files"] / rates["network"],
    }
    report("prediction", [row], images=IMAGES, batch=BATCH)


if __name__ == "__main__":
    run_benchmark(main, __doc__)
