"""Comparison of a trained network with guessing: detects a dead start, overfitting, and little learning.

Guessing is to predict the majority class, or to give each class its frequency as its probability.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from deepen.core.counts import pluralize
from deepen.evaluation.accuracy import Evaluation
from deepen.records.history import Epoch
from deepen.training.loss import frequency_loss

_FALLEN = 0.98  # a loss above this fraction of the loss of guessing may be due to chance
_LARGEST_ERROR = 20  # points; twice the standard error of an accuracy that can still tell learning from guessing
_FITTED = 0.1  # fraction of the loss of guessing, above the least loss, that a fitted network has on training images
_HIGH_LOSS = 2 / 3  # fraction of the loss of guessing: the validation loss of a network that hardly generalizes
_HIGH_TOP1 = 90  # percent; from here on a network generalizes whatever its loss
_ENOUGH_IMAGES = 50  # validation images; the mean loss of fewer varies too much


@dataclass(frozen=True)
class Guessing:
    """The losses and accuracy of a network, and those of guessing.

    `loss` (nats) is the mean training loss of the last fifth of the epochs so far, `least_loss` its lower bound.
    `val_loss` and `top1` (percent) are those of the last validation, on `images` images. If training uses `balanced`
    class weights, `top1` is the balanced accuracy.
    """

    loss: float
    guessed_loss: float
    least_loss: float
    val_loss: float
    guessed_val_loss: float
    top1: float
    guessed_top1: float
    images: int
    balanced: bool

    @classmethod
    def of(
        cls,
        history: Sequence[Epoch],
        guessed_loss: float,
        least_loss: float,
        validation: Evaluation,
        labels: NDArray[np.int64],
        *,
        balanced: bool,
    ) -> Self:
        """Summarize the epochs of a training, and its last validation, on images with `labels` (n,)."""
        latest = history[-max(1, len(history) // 5) :]
        return cls(
            loss=float(np.mean([row.loss for row in latest])),
            guessed_loss=guessed_loss,
            least_loss=least_loss,
            val_loss=validation.loss,
            guessed_val_loss=frequency_loss(labels, int(labels.max()) + 1),
            top1=_compute_balanced_top1(validation.predicted.numpy(), labels) if balanced else validation.percent(1),
            guessed_top1=100 / len(np.unique(labels)) if balanced else compute_majority_top1(labels),
            images=len(labels),
            balanced=balanced,
        )

    def find_dead_start(self, steps: int) -> str | None:
        """Return a warning if the network learned nothing in `steps` steps, else None."""
        if self._is_better or self._has_fallen or self._generalizes:
            return None
        return (
            f"learned nothing in {pluralize(steps, 'step')}: training loss {self.loss:.3f} is not clearly lower than "
            f"{self.guessed_loss:.3f}, that of guessing by class frequency, and {self._accuracy}; change lr, or grow "
            "it from a shallower model with growth: identity"
        )

    def find_warning(self, steps: int) -> str | None:
        """Return a warning at the end of training if the network is no better than guessing or overfits, else None."""
        if self._is_better:
            return self._describe_overfitting() if self._overfits else None
        if not (self._has_fallen or self._generalizes):
            return self.find_dead_start(steps)
        if self._is_unsure:
            return (
                f"validation has {pluralize(self.images, 'image')}, too few to tell learning from guessing; add "
                "images, or increase val_fraction"
            )
        if self._generalizes:
            weights = "" if self.balanced else ", or class_weights: balanced"
            return (
                f"learned little: {self._accuracy}, although validation loss {self.val_loss:.3f} is lower than "
                f"{self.guessed_val_loss:.3f}, that of guessing; set more epochs{weights}"
            )
        return (
            f"overfits: the training loss fell to {self.loss:.3f}, that of guessing is {self.guessed_loss:.3f}, "
            f"but {self._accuracy}; {_REMEDY}"
        )

    def _describe_overfitting(self) -> str:
        kind = "balanced " if self.balanced else ""
        return (
            f"overfits: training loss {self.loss:.3f} is close to its lower bound, {self.least_loss:.3f}, but "
            f"validation loss {self.val_loss:.3f} is over two thirds of {self.guessed_val_loss:.3f}, that of guessing, "
            f"and validation {kind}top-1 is {self.top1:.2f} %; {_REMEDY}"
        )

    @property
    def _is_better(self) -> bool:
        return self.top1 > self.guessed_top1 + 1e-9

    @property
    def _overfits(self) -> bool:
        """Whether the network fits the training images but generalizes poorly, on enough validation images to tell."""
        left = (self.loss - self.least_loss) / max(self.guessed_loss - self.least_loss, 1e-9)
        hardly = self.val_loss > _HIGH_LOSS * self.guessed_val_loss and self.top1 < _HIGH_TOP1
        return left < _FITTED and hardly and self.images >= _ENOUGH_IMAGES

    @property
    def _has_fallen(self) -> bool:
        return self.loss < _FALLEN * self.guessed_loss

    @property
    def _generalizes(self) -> bool:
        return self.val_loss < _FALLEN * self.guessed_val_loss

    @property
    def _is_unsure(self) -> bool:
        share = self.guessed_top1 / 100
        return 200 * math.sqrt(share * (1 - share) / self.images) > _LARGEST_ERROR

    @property
    def _accuracy(self) -> str:
        kind, guess = ("balanced ", "a single class") if self.balanced else ("", "the majority class")
        return (
            f"validation {kind}top-1 {self.top1:.2f} % is not higher than {self.guessed_top1:.2f} %, "
            f"that of always predicting {guess}"
        )


_REMEDY = (
    "add images, set crop: true and flip: true if they suit the images, increase weight_decay or dropout, or reduce "
    "width or epochs"
)


def compute_majority_top1(labels: NDArray[np.int64]) -> float:
    """Return the top-1 (percent) of always predicting the majority class of `labels` (n,)."""
    return 100 * float(np.bincount(labels).max() / len(labels))


def _compute_balanced_top1(predicted: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    return 100 * float(np.mean([(predicted[labels == label] == label).mean() for label in np.unique(labels)]))
