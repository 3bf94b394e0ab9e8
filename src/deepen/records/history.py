"""What is kept of a training besides its weights: how, from how much, and what came of each epoch."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from deepen.core.checksums import read_checked_json, write_checked_json


@dataclass(frozen=True)
class Epoch:
    """One epoch, counted from 1: the last learning rate, the mean loss while training, and what validation found.

    Losses are in nats; `loss` is that of augmented images with dropout, smoothed labels and the weights of
    `class_weights`, `val_loss` of none of these.
    `val_top1` is in percent.
    """

    epoch: int
    lr: float
    loss: float
    val_loss: float
    val_top1: float


@dataclass(frozen=True)
class History:
    """How a model was trained.

    `settings` are those that shaped its weights, `versions` the software's by name. There were so many `images` and, to
    watch it, `validation_images`; `learned` counts each of the former as often as it was learned from. `start` and
    `weights` are the checksums of the weights that it began and ended with. `warning` is that of TrainingResult.
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

    def save(self, path: Path) -> None:
        """Write JSON."""
        write_checked_json(path, asdict(self))


def load_history(path: Path) -> History:
    """Read what `History.save` wrote; raises InputError where the file is not that."""
    return read_checked_json(path, History)
