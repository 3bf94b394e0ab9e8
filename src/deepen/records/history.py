"""Training history: settings, versions, data sizes, and the metrics of each epoch."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from deepen.core.checksums import read_checked_json, write_checked_json


@dataclass(frozen=True)
class Epoch:
    """One epoch, counted from 1: the last learning rate, the mean training loss, and the validation metrics.

    Losses are in nats; `loss` includes augmentation, dropout, label smoothing and `class_weights`, `val_loss` none of
    them. `val_top1` is in percent.
    """

    epoch: int
    lr: float
    loss: float
    val_loss: float
    val_top1: float


def find_best_epoch(epochs: Sequence[Epoch]) -> Epoch:
    """Return the first epoch with the highest validation top-1; of equal ones, that with the lowest validation loss."""
    best = epochs[0]
    for row in epochs[1:]:
        if row.val_top1 > best.val_top1 or (row.val_top1 == best.val_top1 and row.val_loss < best.val_loss):
            best = row
    return best


@dataclass(frozen=True)
class History:
    """How a model was trained.

    `settings` are those that affect the weights, `versions` those of the software by name. `images` and
    `validation_images` are the sizes of the sets; `learned` counts the training images over all epochs. `start` and
    `weights` are the checksums of the initial and the final weights. `warning` is that of TrainingResult.
    """

    settings: dict[str, Any]
    versions: dict[str, str]
    images: int
    learned: int
    start: str
    weights: str
    epochs: list[Epoch]
    validation_images: int = 0
    warning: str = ""

    @property
    def has_patience(self) -> bool:
        """Whether the training ended early if validation did not improve, and kept the best epoch."""
        return "patience" in self.settings.get("training", {})

    @property
    def kept(self) -> Epoch:
        """The epoch whose weights are the result."""
        return find_best_epoch(self.epochs) if self.has_patience else self.epochs[-1]

    @property
    def planned(self) -> int:
        """The number of epochs that the training would have had without early stopping."""
        return int(self.settings.get("epochs", len(self.epochs)))

    def save(self, path: Path) -> None:
        """Write the history as JSON."""
        write_checked_json(path, asdict(self))


def load_history(path: Path) -> History:
    """Read a file of `History.save`; raises InputError if it is invalid."""
    return read_checked_json(path, History)
