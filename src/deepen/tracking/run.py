"""A model's run in a tracker: what each tracker must be able to store."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

Scalar = str | int | float | bool
Row = Mapping[str, object]
Outcome = Literal["finished", "interrupted", "failed"]
ACCURACY = "validation/top1"  # a metric of each epoch


class Run(ABC):
    """A run in a tracker. `id` opens it again; `is_new` says whether it was made now."""

    id: str
    is_new: bool

    @abstractmethod
    def log_settings(self, settings: Mapping[str, Scalar]) -> None:
        """Store the settings of a new run."""

    @abstractmethod
    def count_epochs(self, known: int) -> int:
        """Return the number of epochs that the run has; `known` were logged according to this machine's records."""

    @abstractmethod
    def log_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Store the metrics of an epoch, counted from 1, such that they survive a kill of this process."""

    @abstractmethod
    def log_results(self, epoch: int, metrics: Mapping[str, float], settings: Mapping[str, Scalar]) -> None:
        """Store metrics of the trained model, and its settings where the tracker compares both."""

    @abstractmethod
    def log_table(self, name: str, rows: Sequence[Row], text: str, epoch: int) -> None:
        """Store a table, given as rows and as Markdown."""

    @abstractmethod
    def log_file(self, path: Path, kind: str) -> None:
        """Store a file, or where it is if the tracker has no files."""

    @abstractmethod
    def close(self, outcome: Outcome) -> None:
        """End the run, until it is opened again."""
