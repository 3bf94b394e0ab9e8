"""Speed of evaluation, and of prediction from image files, on a card."""

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from benchmarks.gpu.bench import Bench, free_memory, outermost
from benchmarks.gpu.sections import Row, measure_row
from benchmarks.measure import measure_median_seconds
from deepen.evaluation.accuracy import evaluate
from deepen.growth.initialization import draw_he_weights
from deepen.inference.classifier import Classifier
from deepen.models.weights import ModelCard, save_weights
from deepen.runtime.device import move_to_device


def time_evaluation(bench: Bench) -> Iterator[Row]:
    """Time the evaluation of all test images with mirror images, in batches of the settings and larger ones."""
    mean = torch.tensor(bench.statistics.mean, device=bench.device)
    for model in outermost(bench.plans):
        net = move_to_device(bench.make_network(model, bench.settings.recipe), bench.device)
        for batch in sorted({min(batch, len(bench.test)) for batch in (bench.settings.evaluation.batch_size, 2000)}):
            free_memory()

            def measure(net: torch.nn.Module = net, batch: int = batch) -> Row:
                def run() -> None:
                    evaluate(net, bench.test, mean, flip_averaging=True, batch_size=batch, dtype=bench.dtype)

                return {"images/s": len(bench.test) / measure_median_seconds(run, calls=5)}

            yield measure_row({"model": model, "images": len(bench.test), "batch": batch}, measure)


def time_prediction(bench: Bench) -> Iterator[Row]:
    """Time prediction from JPEG files to probabilities, and of the network alone from pixels in main memory."""
    for model in outermost(bench.plans):
        free_memory()
        yield measure_row({"model": model}, partial(_measure_prediction, bench, model))


def _measure_prediction(bench: Bench, model: str) -> Row:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = _write_files(bench, folder)
        classifier = Classifier(_save_network(bench, folder, model), str(bench.device))
        pixels = bench.test.batch(slice(len(files))).transpose(0, 2, 3, 1)
        rates = {"files/s": _measure_rate(classifier, files), "arrays/s": _measure_rate(classifier, pixels)}
        return {"images": len(files), **rates}


def _measure_rate(classifier: Classifier, images: Any) -> float:
    """Return the images per second of a second run; the first one starts what the process needs."""
    return len(images) / measure_median_seconds(lambda: classifier.predict(images), calls=1)


def _write_files(bench: Bench, folder: Path) -> list[Path]:
    files = [folder / f"{row:05}.jpg" for row in range(min(bench.size.files, len(bench.test)))]
    for image, path in zip(bench.test.batch(slice(len(files))), files, strict=True):
        Image.fromarray(image.transpose(1, 2, 0)).save(path, quality=75)
    return files


def _save_network(bench: Bench, folder: Path, model: str) -> Path:
    """Save an untrained network, which is as fast as a trained one."""
    card = ModelCard(
        model=model,
        layers=bench.settings.models[model].layers,
        width=bench.size.width,
        image=bench.images.shape,
        classes=bench.images.classes,
        mean=bench.statistics.mean,
        flip=True,
    )
    save_weights(folder / "weights", draw_he_weights(card.plan(), seed=0, model=model), card)
    return folder / "weights"
