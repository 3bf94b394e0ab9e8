"""The loop: a trainer and validation images in, the history out; what is done is kept on disk and gone on from."""

import math
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepen.accuracy import Evaluation, evaluate
from deepen.checkpoint import Checkpoint, Checkpoints, Position
from deepen.group import ALONE, Group
from deepen.history import Epoch
from deepen.images import ImageSet
from deepen.interruption import Interruption
from deepen.trainer import Trainer

_VALIDATION_BATCH = 500  # at most, and no more than a process learns from at once: that fits into its memory
_MOST_UNSURE = 20  # points between the share of a class and what chance may make of it, for a start to be judged
_DEAD_EPOCHS = 5  # so long at chance is no slow start any more


@dataclass(frozen=True)
class Progress:
    """What is called at the start with the steps and epochs done before, after each step, and after each epoch."""

    start: Callable[[int, Sequence[Epoch]], object] = lambda steps, history: None
    step: Callable[[], object] = lambda: None
    epoch: Callable[[Epoch], object] = lambda epoch: None


def train(
    trainer: Trainer,
    validation: ImageSet,
    progress: Progress,
    checkpoints: Checkpoints | None = None,
    interruption: Interruption | None = None,
    group: Group = ALONE,
) -> list[Epoch]:
    """Train to the end, validating after each epoch; returns a row an epoch.

    With `checkpoints` it goes on from the newest of them, and keeps one after each epoch of some seconds, whenever one
    is due, at the end, and when an `interruption` is asked for, before it raises Interrupted. Of a `group` all go on
    from what the first one has.
    """
    return _Loop(trainer, validation, progress, checkpoints, interruption, group).run()


class _Loop:
    def __init__(
        self,
        trainer: Trainer,
        validation: ImageSet,
        progress: Progress,
        checkpoints: Checkpoints | None,
        interruption: Interruption | None,
        group: Group,
    ) -> None:
        self._trainer, self._progress, self._group = trainer, progress, group
        self._checkpoints, self._interruption = checkpoints, interruption
        self._validation = validation
        self._history: list[Epoch] = []

    def run(self) -> list[Epoch]:
        self._resume()
        self._progress.start(self._trainer.step, self._history)
        for epoch in range(len(self._history) + 1, self._trainer.epochs + 1):
            loss, lr = self._trainer.epoch(epoch, self._after_step)
            found = self._validate()
            self._note(Epoch(epoch, lr, loss, found.loss, found.percent(1)))
            if self._checkpoints and (epoch == self._trainer.epochs or self._checkpoints.due_after_an_epoch):
                self._keep()
            self._progress.epoch(self._history[-1])
            if epoch == min(_DEAD_EPOCHS, self._trainer.epochs):
                self._warn_of_a_dead_start()
        return self._history

    def _resume(self) -> None:
        found = self._group.of_first(self._checkpoints.newest() if self._checkpoints else None)
        if found is not None:
            for row in found.position.history:
                self._note(row)
            self._trainer.restore(found.position.step, found.tensors)

    def _note(self, row: Epoch) -> None:
        """All that the schedule knows of the past it learns here, so that history is all there is to keep of it."""
        self._history.append(row)
        self._trainer.schedule.validated(row.val_top1)

    def _after_step(self) -> None:
        self._progress.step()
        asked = self._group.largest(self._interruption.asked or 0 if self._interruption else 0)
        if asked or (self._checkpoints and self._checkpoints.due):
            self._keep()
        if asked and self._interruption:
            when = f"after {self._trainer.step} of {self._trainer.steps} steps"
            self._interruption.check(when, signal.Signals(asked))  # whichever process it came to: all stop here

    def _keep(self) -> None:
        if self._checkpoints is None:
            return
        position = Position(
            training=self._checkpoints.folder.name,
            step=self._trainer.step,
            steps=self._trainer.steps,
            epochs=self._trainer.epochs,
            history=self._history,
        )
        self._checkpoints.save(Checkpoint(position, self._trainer.state()))

    def _warn_of_a_dead_start(self) -> None:
        if self._group.rank:
            return
        best, guessing = max(row.val_top1 for row in self._history), guessing_top1(self._validation.labels)
        if best <= guessing:
            print(f"{self._trainer.model}: {self._dead_start(best, guessing)}", file=sys.stderr, flush=True)

    def _dead_start(self, best: float, guessing: float) -> str:
        if guessing >= 100 or guessing - majority_top1(self._validation.labels) > _MOST_UNSURE:
            return (
                f"validation has {_counted(len(self._validation), 'image')}: too few to tell learning from guessing; "
                "take more images, or a larger val_fraction"
            )
        return (
            f"after {_counted(len(self._history), 'epoch')} validation top-1 is {best:.2f} %, and naming always the "
            f"most frequent class may reach {guessing:.2f} % of {_counted(len(self._validation), 'image')}: a dead "
            "start, or too few images to tell. Either what the last layers learn does not reach the first ones, as in "
            "deep networks that start random: let it grow from a shallower model, with growth: identity. Or the steps "
            "are too large or too small: change lr."
        )

    def _validate(self) -> Evaluation:
        return evaluate(
            self._trainer.network,
            self._validation,
            self._trainer.mean,
            flip_averaging=False,
            batch_size=min(_VALIDATION_BATCH, max(1, self._trainer.batch_size // self._group.size)),
            dtype=self._trainer.dtype,
            group=self._group,
            views=self._trainer.views,
        )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def majority_top1(labels: NDArray[np.int64]) -> float:
    """The top-1 (percent) of naming always the most frequent of `labels` (n,)."""
    return 100 * float(np.bincount(labels).max() / len(labels))


def guessing_top1(labels: NDArray[np.int64]) -> float:
    """That of the majority class and twice its standard error more, at most 100."""
    share = majority_top1(labels) / 100
    return min(100.0, 100 * (share + 2 * math.sqrt(share * (1 - share) / len(labels))))
