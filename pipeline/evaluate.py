"""Stage `evaluate`: test a model, and write its metrics, predictions, mistakes and records."""

from collections.abc import Sequence

import torch

from deepen.config.settings import Settings, load_settings
from deepen.core.counts import pluralize
from deepen.core.files import write_json
from deepen.data.images import ImageSet, load_images
from deepen.evaluation.accuracy import Evaluation, evaluate
from deepen.evaluation.intervals import wilson_interval
from deepen.evaluation.predictions import Predictions
from deepen.evaluation.views import Views
from deepen.models.layers import count_parameters
from deepen.models.networks import load_network
from deepen.models.weights import ModelCard, read_weights_checksum
from deepen.records.history import History, load_history
from deepen.records.record import Record, encode_right, load_records, save_records
from deepen.records.transfer_report import TransferRecord, load_transfer
from deepen.runtime.device import choose_device, choose_dtype, move_to_device
from deepen.runtime.group import Group
from pipeline.shared import files
from pipeline.shared.agreement import require_agreement
from pipeline.shared.stage import require_unchanged
from pipeline.shared.together import run_together
from pipeline.shared.tracked import log_evaluation, make_tracker

MISTAKES = 24  # misclassified images to keep, those with the highest confidence


def evaluate_model(name: str, group: Group) -> None:
    settings = load_settings()
    settings.require_model(name)
    device = choose_device(settings.device, settings.cpu_threads, group.local_rank)
    card, network = load_network(files.weights(name))
    test, history, transferred = (
        load_images(files.TEST),
        load_history(files.history(name)),
        load_transfer(files.transfer(name)),
    )
    before = load_records(files.records(settings.models[name].after))
    _require_agreement(name, card, test, history, transferred, before)
    views = Views(settings.evaluation.views, card.image[1:])
    with group.join(files.predictions(name).parent, device):
        evaluation = evaluate(
            move_to_device(network, device),
            test,
            torch.tensor(card.mean, device=device),
            flip_averaging=card.flip and settings.evaluation.flip_averaging,
            batch_size=settings.evaluation.batch_size,
            dtype=choose_dtype(settings.precision, device),
            group=group,
            views=views,
        )
    if not group.writes:
        return
    identity = read_weights_checksum(files.weights(name))
    names = [test.get_file_name(row) for row in range(len(test))] if len(test.files) else []
    predicted, probability = evaluation.predicted.tolist(), evaluation.probability.tolist()
    predictions = Predictions(test.labels.tolist(), predicted, probability, identity, names)
    record = _make_record(name, settings, card, test, evaluation, predictions, history, transferred)
    require_unchanged()
    save_records(files.records(name), [*before, record])
    write_json(files.metrics(name), record.metrics)
    predictions.save(files.predictions(name))
    test.select(predictions.worst(MISTAKES)).save(files.mistakes(name))
    with make_tracker(settings, name, group.rank) as tracker:
        log_evaluation(tracker, settings, card, record)
    print(_describe(name, evaluation))


def _describe(name: str, evaluation: Evaluation) -> str:
    low, high = wilson_interval(evaluation.correct[0], evaluation.images)
    tested = pluralize(evaluation.images, "test image")
    return f"{name}: top-1 {evaluation.percent(1):.2f} % ({low:.1f} to {high:.1f}) on {tested}"


def _require_agreement(
    name: str,
    card: ModelCard,
    test: ImageSet,
    history: History,
    transferred: TransferRecord,
    before: Sequence[Record],
) -> None:
    weights, trained = files.weights(name), files.history(name)
    grown_from = before[-1].weights if before else None
    require_agreement(
        [
            ("model", (weights, card.model), (files.PARAMS, name)),
            ("classes", (weights, card.classes), (files.TEST, test.classes)),
            ("image shape", (weights, card.prepared), (files.TEST, test.shape)),
            ("checksum of the weights", (trained, history.weights), (weights, read_weights_checksum(weights))),
            (
                "checksum of the start",
                (files.transfer(name), transferred.weights[0]),
                (trained, history.start),
            ),
            ("checksum of what it grew from", (weights, card.grown_from), ("records/", grown_from)),
        ]
    )


def _make_record(
    name: str,
    settings: Settings,
    card: ModelCard,
    test: ImageSet,
    evaluation: Evaluation,
    predictions: Predictions,
    history: History,
    transferred: TransferRecord,
) -> Record:
    views = settings.evaluation.views
    averaged = (card.flip and settings.evaluation.flip_averaging) or views != "centre"
    return Record(
        model=name,
        after=settings.models[name].after,
        layers=card.layers,
        norm=card.norm,
        width=card.width,
        image=card.image,
        classes=len(card.classes),
        parameters=count_parameters(card.plan()),
        tensors=transferred.tensors,
        training=history,
        data=settings.data,
        source=settings.dataset.source,
        test_images=evaluation.images,
        correct=list(evaluation.correct),
        confusion=predictions.confusion(),
        metrics=_compute_metrics(evaluation, averaged, predictions.balanced()),
        weights=predictions.weights,
        grown_from=card.grown_from,
        test_origin=test.origin,
        notes=list(test.notes),
        views=views,
        data_name=test.name,
        right=encode_right(predictions.right()),
        recipe=settings.recipe,
    )


def _compute_metrics(evaluation: Evaluation, averaged: bool, balanced: float) -> dict[str, float]:
    """Return accuracies in percent, with several views averaged also those of a single view; the loss in nats."""
    ks = range(1, len(evaluation.correct) + 1)
    metrics = {f"top{k}": round(evaluation.percent(k), 4) for k in ks}
    if averaged:
        metrics |= {f"top{k}_single_view": round(evaluation.percent_single(k), 4) for k in ks}
    return metrics | {"balanced_top1": round(balanced, 4), "loss": round(evaluation.loss, 6)}


if __name__ == "__main__":
    run_together(evaluate_model, "pipeline.evaluate")
