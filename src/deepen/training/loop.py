"""The loop: a trainer and validation images in, the history out; what is done is kept on disk and gone on from."""

import math
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deepen.config.automatic import FEW_STEPS
from deepen.core.counts import counted
from deepen.core.notes import tell
from deepen.data.images import ImageSet
from deepen.evaluation.accuracy import Evaluation, evaluate
from deepen.records.history import Epoch
from deepen.runtime.group import ALONE, Group
from deepen.runtime.interrupt import Interruption
from deepen.training.checkpoint import Checkpoint, Checkpoints, Position
from deepen.training.guessing import Guessing
from deepen.training.trainer import Trainer

_VALIDATION_BATCH = 500  # at most, and no more than a process learns from at once: that fits into its memory
_JUDGED_EPOCHS, _JUDGED_FRACTION = 5, 0.2  # of the steps; the later of the two is when a start is first judged


@dataclass(frozen=True)
class Progress:
    """What is called at the start with the steps and epochs done before, after each step and epoch, and to warn."""

    start: Callable[[int, Sequence[Epoch]], object] = lambda steps, history: None
    step: Callable[[], object] = lambda: None
    epoch: Callable[[Epoch], object] = lambda epoch: None
    warn: Callable[[str], object] = lambda text: tell([text])


@dataclass(frozen=True)
class Trained:
    """What came of a training: a row an epoch, and what is wrong where it is no better than guessing or overfits."""

    epochs: list[Epoch]
    warning: str = ""


def train(
    trainer: Trainer,
    validation: ImageSet,
    progress: Progress,
    checkpoints: Checkpoints | None = None,
    interruption: Interruption | None = None,
    group: Group = ALONE,
) -> Trained:
    """Train to the end, validating after each epoch.

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

    def run(self) -> Trained:
        self._resume()
        self._progress.start(self._trainer.step, self._history)
        found = None
        for epoch in range(len(self._history) + 1, self._trainer.epochs + 1):
            loss, lr = self._trainer.epoch(epoch, self._after_step)
            found = self._validate()
            self._note(Epoch(epoch, lr, loss, found.loss, found.percent(1)))
            if self._checkpoints and (epoch == self._trainer.epochs or self._checkpoints.due_after_an_epoch):
                self._keep()
            self._progress.epoch(self._history[-1])
            if epoch == self._first_judged < self._trainer.epochs:
                self._warn(self._guessing(found).dead_start(self._trainer.step))
        if self._trainer.steps < FEW_STEPS:
            return Trained(self._history)
        warning = self._guessing(found or self._validate()).warning(self._trainer.step)
        self._warn(warning)
        return Trained(self._history, warning or "")

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
            when = f"after {self._trainer.step:,} of {counted(self._trainer.steps, 'step')}"
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

    def _guessing(self, found: Evaluation) -> Guessing:
        """What validation has just found, beside what guessing reaches."""
        loss, labels = self._trainer.loss, self._validation.labels
        return Guessing.of(self._history, loss.of_frequencies, loss.least, found, labels, balanced=loss.balanced)

    def _warn(self, text: str | None) -> None:
        if text and not self._group.rank:
            self._progress.warn(f"{self._trainer.model}: {text}")

    @property
    def _first_judged(self) -> int:
        """The epoch after which nothing learned is no slow start any more."""
        steps = max(FEW_STEPS, self._trainer.steps * _JUDGED_FRACTION)
        return max(_JUDGED_EPOCHS, math.ceil(steps / self._trainer.steps_an_epoch))

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
