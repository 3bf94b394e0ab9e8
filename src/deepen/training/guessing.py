"""Whether a network learned more than guessing, and whether that holds for images that it did not learn from.

To guess is to name the most frequent class always, or to give each class its frequency.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from deepen.core.counts import counted
from deepen.evaluation.accuracy import Evaluation
from deepen.records.history import Epoch
from deepen.training.loss import frequency_loss

_FALLEN = 0.98  # of the loss of guessing: what an epoch has by chance is no learning
_MOST_UNSURE = 20  # points, of twice the standard error of an accuracy, that still tell learning from guessing
_LEARNED_OUT = 0.1  # of the loss of guessing, above the least: what is left to learn of the training images
_FAR_ABOVE = 2 / 3  # of the loss of guessing: the validation loss of a network that hardly generalizes
_HIGH_TOP1 = 90  # percent, from which on it does
_ENOUGH_IMAGES = 50  # of validation: the mean loss of fewer differs too much from that of others


@dataclass(frozen=True)
class Guessing:
    """What a network reaches, and beside it what guessing does.

    `loss` (nats) is of the last fifth of the epochs so far, `least_loss` what it can't fall below. `val_loss` and
    `top1` (percent) are of the last validation, on so many `images`. Where classes are `balanced` in training, so are
    they in `top1`.
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
        found: Evaluation,
        labels: NDArray[np.int64],
        *,
        balanced: bool,
    ) -> Self:
        """From a training's epochs, the losses of a guess and at least, and what validation `found` of its `labels`."""
        latest = history[-max(1, len(history) // 5) :]
        return cls(
            loss=float(np.mean([row.loss for row in latest])),
            guessed_loss=guessed_loss,
            least_loss=least_loss,
            val_loss=found.loss,
            guessed_val_loss=frequency_loss(labels, int(labels.max()) + 1),
            top1=_balanced_top1(found.predicted.numpy(), labels) if balanced else found.percent(1),
            guessed_top1=100 / len(np.unique(labels)) if balanced else majority_top1(labels),
            images=len(labels),
            balanced=balanced,
        )

    def dead_start(self, steps: int) -> str | None:
        """What to tell of a network that learned nothing in so many steps."""
        if self._is_better or self._has_fallen or self._generalizes:
            return None
        return (
            f"learned nothing in {counted(steps, 'step')}: the training loss, {self.loss:.3f}, is not clearly lower "
            f"than that of guessing by the frequency of classes, {self.guessed_loss:.3f}, and {self._accuracy}; change "
            "lr, or let it grow from a shallower model with growth: identity"
        )

    def warning(self, steps: int) -> str | None:
        """What to tell at the end of a training of a network that is no better than a guess, or that overfits."""
        if self._is_better:
            return self._overfitting() if self._overfits else None
        if not (self._has_fallen or self._generalizes):
            return self.dead_start(steps)
        if self._is_unsure:
            return (
                f"validation has {counted(self.images, 'image')}, too few to tell learning from guessing; add images, "
                "or set a larger val_fraction"
            )
        if self._generalizes:
            weights = "" if self.balanced else ", or class_weights: balanced"
            return (
                f"learned little: {self._accuracy}, although the validation loss, {self.val_loss:.3f}, is lower than "
                f"that of guessing, {self.guessed_val_loss:.3f}; set more epochs{weights}"
            )
        return (
            f"overfits: the training loss has fallen to {self.loss:.3f}, that of guessing is {self.guessed_loss:.3f}, "
            f"but {self._accuracy}; {_LESS_OVERFITTING}"
        )

    def _overfitting(self) -> str:
        kind = "balanced " if self.balanced else ""
        return (
            f"overfits: the training loss, {self.loss:.3f}, has fallen almost to its least, {self.least_loss:.3f}, but "
            f"the validation loss is {self.val_loss:.3f}, over two thirds of that of guessing, "
            f"{self.guessed_val_loss:.3f}, and validation {kind}top-1 {self.top1:.2f} %; {_LESS_OVERFITTING}"
        )

    @property
    def _is_better(self) -> bool:
        return self.top1 > self.guessed_top1 + 1e-9

    @property
    def _overfits(self) -> bool:
        """Whether it knows the training images by heart, and little of others, of which there are enough to tell."""
        left = (self.loss - self.least_loss) / max(self.guessed_loss - self.least_loss, 1e-9)
        hardly = self.val_loss > _FAR_ABOVE * self.guessed_val_loss and self.top1 < _HIGH_TOP1
        return left < _LEARNED_OUT and hardly and self.images >= _ENOUGH_IMAGES

    @property
    def _has_fallen(self) -> bool:
        return self.loss < _FALLEN * self.guessed_loss

    @property
    def _generalizes(self) -> bool:
        return self.val_loss < _FALLEN * self.guessed_val_loss

    @property
    def _is_unsure(self) -> bool:
        share = self.guessed_top1 / 100
        return 200 * math.sqrt(share * (1 - share) / self.images) > _MOST_UNSURE

    @property
    def _accuracy(self) -> str:
        kind, guess = ("balanced ", "one class") if self.balanced else ("", "the most frequent class")
        return (
            f"validation {kind}top-1, {self.top1:.2f} %, is no higher than that of always naming {guess}, "
            f"{self.guessed_top1:.2f} %"
        )


_LESS_OVERFITTING = (
    "add images, set crop: true and flip: true where they fit the images, a larger weight_decay or dropout, a smaller "
    "width or fewer epochs"
)


def majority_top1(labels: NDArray[np.int64]) -> float:
    """The top-1 (percent) of naming always the most frequent of `labels` (n,)."""
    return 100 * float(np.bincount(labels).max() / len(labels))


def _balanced_top1(predicted: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    return 100 * float(np.mean([(predicted[labels == label] == label).mean() for label in np.unique(labels)]))
