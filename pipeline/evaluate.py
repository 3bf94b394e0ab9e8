"""One model on the test images: its metrics, its predictions, and the record of it and of all it grew from."""

from pathlib import Path

import torch

from deepen.accuracy import Evaluation, evaluate
from deepen.device import choose_device, choose_dtype, place
from deepen.group import Group
from deepen.history import load_history
from deepen.images import load_images
from deepen.layers import parameters
from deepen.predictions import Predictions
from deepen.records import Record, load_records, save_records
from deepen.settings import load_settings
from deepen.transfer_report import load_fates
from deepen.views import Views
from deepen.weights import load_network
from deepen.writing import write_json
from pipeline.together import run_together

MISTAKES = 24  # images, of those that were most confidently taken for another class


def evaluate_model(name: str) -> None:
    settings = load_settings()
    model = settings.models[name]
    group = Group()
    device = choose_device(settings.device, settings.threads, group.local_rank)
    card, network = load_network(Path(f"weights/{name}.safetensors"))
    test = load_images(Path("data/test.safetensors"))
    flips = card.flip and settings.evaluation.flip_averaging
    views = Views(settings.evaluation.views, card.image[1:])
    with group.joined(Path("predictions")):
        found = evaluate(
            place(network, device),
            test,
            torch.tensor(card.mean, device=device),
            flip_averaging=flips,
            batch_size=settings.evaluation.batch_size,
            dtype=choose_dtype(settings.precision, device),
            group=group,
            views=views,
        )
    if not group.writes:
        return
    predictions = Predictions(test.labels.tolist(), found.predicted.tolist(), found.probability.tolist())
    metrics = _metrics(found, flips or views.kind != "centre", predictions.balanced())
    record = Record(
        model=name,
        after=model.after,
        layers=card.layers,
        norm=card.norm,
        width=card.width,
        image=card.image,
        classes=len(card.classes),
        parameters=parameters(card.plan()),
        tensors=load_fates(Path(f"metrics/transfer/{name}.json")),
        training=load_history(Path(f"curves/{name}.json")),
        data=settings.data,
        source=settings.dataset.source,
        test_images=found.images,
        correct=list(found.correct),
        confusion=predictions.confusion(),
        metrics=metrics,
        views=views.kind,
    )
    save_records(Path(f"records/{name}.json"), [*load_records(Path(f"records/{model.after}.json")), record])
    write_json(Path(f"metrics/{name}.json"), metrics)
    predictions.save(Path(f"predictions/{name}.json"))
    test.take(predictions.worst(MISTAKES)).save(Path(f"predictions/{name}-mistakes.safetensors"))
    print(f"{name} on {found.images} test images: " + ", ".join(f"{key} {value}" for key, value in metrics.items()))


def _metrics(found: Evaluation, averaged: bool, balanced: float) -> dict[str, float]:
    """Percent, rounded to 4 decimals; with several views averaged the single one beside them; the loss in nats."""
    metrics = {f"top{k}": round(found.percent(k), 4) for k in range(1, len(found.correct) + 1)}
    if averaged:
        metrics |= {f"top{k}_single_view": round(found.percent_single(k), 4) for k in range(1, len(found.correct) + 1)}
    return metrics | {"balanced_top1": round(balanced, 4), "loss": round(found.loss, 6)}


if __name__ == "__main__":
    run_together(evaluate_model, "pipeline.evaluate")
