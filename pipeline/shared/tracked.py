"""Log models to the tracker that the setting `tracking` names."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tabulate import tabulate

from deepen.config.settings import Settings
from deepen.models.weights import ModelCard
from deepen.records.record import Record
from deepen.records.transfer_report import TensorTransfer
from deepen.tracking.run import Row, Scalar
from deepen.tracking.tracker import Tracker
from pipeline.shared import files
from pipeline.shared.project import BASE

_LINKS = BASE / "checkpoints"  # beside the checkpoints, where each copy of the project finds them


def make_tracker(settings: Settings, model: str, rank: int = 0) -> Tracker:
    """Make the tracker of a model; of several processes, only rank 0 logs."""
    return Tracker("none" if rank else settings.tracking, BASE, _LINKS, model)


def list_settings(settings: Settings, card: ModelCard, training: Mapping[str, object]) -> dict[str, Scalar]:
    """Return the settings of a model, by path: those of its network, and those of its training."""
    network = {
        "model": card.model,
        "after": settings.models[card.model].after,
        "layers": card.layers,
        "norm": card.norm,
        "width": card.width,
        "image": "x".join(map(str, card.image)),
        "classes": len(card.classes),
        "data": settings.data,
        "recipe": settings.recipe,
    }
    return dict(_flatten(network | dict(training)))


def log_evaluation(tracker: Tracker, settings: Settings, card: ModelCard, record: Record) -> None:
    """Log the accuracies of a model on the test images, and which tensors were copied into it."""
    _log_accuracies(tracker, record, _open_record(tracker, settings, card, record))


def log_report(
    tracker: Tracker, settings: Settings, card: ModelCard, record: Record, rows: Sequence[Row], table: str, page: Path
) -> None:
    """Log the table of a ladder and the report page in the run of its last model; a new run gets its accuracies too."""
    listed = _open_record(tracker, settings, card, record)
    if tracker.is_new:
        _log_accuracies(tracker, record, listed)
    tracker.log_table("ladder", rows, table)
    tracker.log_file(page, "report")


def _open_record(tracker: Tracker, settings: Settings, card: ModelCard, record: Record) -> dict[str, Scalar]:
    """Open the run of an evaluated model; return its settings."""
    listed = list_settings(settings, card, record.training.settings)
    tracker.open_trained(record.weights, listed, record.training.epochs, files.weights(record.model))
    return listed


def _log_accuracies(tracker: Tracker, record: Record, settings: Mapping[str, Scalar]) -> None:
    tracker.log_results({f"test/{name}": value for name, value in record.metrics.items()}, settings)
    rows = [_format_row(tensor) for tensor in record.tensors]
    tracker.log_table("transfer", rows, tabulate(rows, "keys", tablefmt="pipe", disable_numparse=True))
    tracker.log_file(files.transfer(record.model), "transfer")


def _format_row(tensor: TensorTransfer) -> dict[str, str]:
    return {
        "kind": tensor.kind,
        "source": tensor.source or "",
        "target": tensor.target or "",
        "shape": "x".join(map(str, tensor.shape)),
        "initialization": tensor.start or "",
    }


def _flatten(settings: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, Scalar]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _to_scalar(value)


def _to_scalar(value: object) -> Scalar:
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value))
    return value if isinstance(value, Scalar) else str(value)
