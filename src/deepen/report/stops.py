"""Sentences on early stopping: after which epoch each model stopped, and the epoch of its weights."""

from collections.abc import Sequence

from deepen.records.history import History
from deepen.records.record import Record


def describe_stops(records: Sequence[Record]) -> list[str]:
    """Return a sentence, without a full stop, for each model that was trained with `patience`."""
    return [f"{record.model} {_describe(record.training)}" for record in records if record.training.has_patience]


def _describe(history: History) -> str:
    done, planned = len(history.epochs), history.planned
    trained = f"stopped after epoch {done:,} of {planned:,}" if done < planned else f"trained all {planned:,} epochs"
    return f"{trained} and has the weights of epoch {history.kept.epoch:,}, the best in validation"


def format_epochs(history: History) -> str:
    """Return the number of epochs, for example 17, or with `patience` 17 of 50, weights of 12."""
    if not history.has_patience:
        return f"{len(history.epochs):,}"
    return f"{len(history.epochs):,} of {history.planned:,}, weights of {history.kept.epoch:,}"
