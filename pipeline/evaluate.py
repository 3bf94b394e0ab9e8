"""One model on the test images: its metrics, its predictions, and the record of it and of all it grew from."""

import json
from pathlib import Path
from typing import Any

import torch

from deepen.accuracy import Evaluation, evaluate
from deepen.device import choose_device, choose_dtype, place
from deepen.images import load_images
from deepen.layers import parameters
from deepen.reading import read_json
from deepen.records import Record, load_records, save_records
from deepen.settings import load_settings
from deepen.weights import load_network
from deepen.writing import write_json, write_text
from pipeline import run


def evaluate_model(name: str) -> None:
    settings = load_settings()
    model = settings.models[name]
    device = choose_device(settings.device, settings.threads)
    card, network = load_network(Path(f"weights/{name}.safetensors"))
    test = load_images(Path("data/test.safetensors"))
    flips = card.flip and settings.evaluation.flip_averaging
    found = evaluate(
        place(network, device),
        torch.from_numpy(test.images).to(device),
        torch.from_numpy(test.labels).to(device),
        torch.tensor(card.mean, device=device),
        flip_averaging=flips,
        batch_size=settings.evaluation.batch_size,
        dtype=choose_dtype(settings.precision, device),
    )
    metrics = _metrics(found, flips)
    record = Record(
        model=name,
        after=model.after,
        layers=card.layers,
        width=card.width,
        parameters=parameters(card.plan()),
        epochs=model.epochs,
        data=settings.data,
        source=settings.dataset.source,
        test_images=found.images,
        metrics=metrics,
        history=read_json(Path(f"curves/{name}.json"), list[dict[str, Any]]),
    )
    save_records(Path(f"records/{name}.json"), [*load_records(Path(f"records/{model.after}.json")), record])
    write_json(Path(f"metrics/{name}.json"), metrics)
    predictions = {"actual": test.labels.tolist(), "predicted": found.predicted.tolist()}
    write_text(Path(f"predictions/{name}.json"), json.dumps(predictions) + "\n")
    print(f"{name} on {found.images} test images: " + ", ".join(f"{key} {value}" for key, value in metrics.items()))


def _metrics(found: Evaluation, flips: bool) -> dict[str, float]:
    """Percent, rounded to 4 decimals; with flip averaging the single view beside it; the loss in nats."""
    metrics = {f"top{k}": round(found.percent(k), 4) for k in range(1, len(found.correct) + 1)}
    if flips:
        metrics |= {f"top{k}_single_view": round(found.percent_single(k), 4) for k in range(1, len(found.correct) + 1)}
    return metrics | {"loss": round(found.loss, 6)}


if __name__ == "__main__":
    run(evaluate_model)
