"""The training loop: epochs, validation, checkpoints, and resuming from them."""

import math
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from deepen.config.automatic import FEW_STEPS
from deepen.core.counts import pluralize
from deepen.data.images import ImageSet
from deepen.evaluation.accuracy import Evaluation, evaluate
from deepen.records.history import Epoch, find_best_epoch
from deepen.runtime.group import SINGLE_PROCESS, Group
from deepen.runtime.interrupt import Interruption
from deepen.training.callback import Callback
from deepen.training.checkpoint import Checkpoint, Checkpoints, Position
from deepen.training.early_stopping import EarlyStopping, require_validation
from deepen.training.guessing import Guessing
from deepen.training.trainer import Trainer

# A training is first checked for a dead start after 5 epochs or a fifth of its steps, whichever comes later.
_JUDGED_EPOCHS, _JUDGED_FRACTION = 5, 0.2


@dataclass(frozen=True)
class TrainingResult:
    """The history of a training, one row per epoch, and a warning if it is no better than guessing or overfits."""

    epochs: list[Epoch]
    warning: str = ""


def train(
    trainer: Trainer,
    validation: ImageSet,
    checkpoints: Checkpoints | None = None,
    interruption: Interruption | None = None,
    group: Group = SINGLE_PROCESS,
    callbacks: Sequence[Callback] = (),
    patience: int | None = None,
) -> TrainingResult:
    """Train to the end, validating after each epoch; each event calls the `callbacks` in their order.

    With `checkpoints`, resume from the newest one. Save one at the end, whenever one is due, and after epochs that take
    some seconds. On an `interruption`, save one and raise Interrupted. All processes of a `group` resume from the
    checkpoint of rank 0. With `patience`, end after that many epochs without a better one in validation; the network
    then has the weights of the best epoch. Raises InputError for `patience` without validation images.
    """
    if patience is not None:
        require_validation(trainer.model, len(validation))
    return _Loop(trainer, validation, checkpoints, interruption, group, callbacks, patience).run()


class _Loop:
    def __init__(
        self,
        trainer: Trainer,
        validation: ImageSet,
        checkpoints: Checkpoints | None,
        interruption: Interruption | None,
        group: Group,
        callbacks: Sequence[Callback],
        patience: int | None,
    ) -> None:
        self._trainer, self._group, self._callbacks = trainer, group, callbacks
        self._checkpoints, self._interruption = checkpoints, interruption
        self._validation = validation
        self._history: list[Epoch] = []
        self._stopping = EarlyStopping(trainer.network, patience) if patience is not None else None

    def run(self) -> TrainingResult:
        self._resume()
        for callback in self._callbacks:
            callback.start(self._trainer.step, self._history)
        validation = None
        while not self._has_ended:
            validation = self._run_epoch(len(self._history) + 1)
        kept = self._history
        if self._stopping:
            kept, validation = self._use_best(self._stopping), None  # not that of the last epoch
        if self._trainer.steps < FEW_STEPS:
            return TrainingResult(self._history)
        validation = validation or self._validate()
        warning = self._compare_to_guessing(validation, kept).find_warning(self._trainer.step)
        self._warn(warning)
        return TrainingResult(self._history, warning or "")

    def _use_best(self, stopping: EarlyStopping) -> list[Epoch]:
        """Load the weights of the best epoch; return the history up to it."""
        best = find_best_epoch(self._history)
        stopping.use_best()
        for callback in self._callbacks:
            callback.keep(best)
        return self._history[: best.epoch]

    @property
    def _has_ended(self) -> bool:
        """Whether all epochs are done, or no better one is expected."""
        done = len(self._history) >= self._trainer.epochs
        return done or (self._stopping is not None and self._stopping.ends(self._history))

    def _run_epoch(self, epoch: int) -> Evaluation:
        """Train for an epoch and validate; save a checkpoint if one is due, and call the callbacks."""
        loss, lr = self._trainer.run_epoch(epoch, self._after_step)
        validation = self._validate()
        self._add_epoch(Epoch(epoch, lr, loss, validation.loss, validation.percent(1)))
        if self._stopping:
            self._stopping.update(self._history)
        if self._checkpoints and (self._has_ended or self._checkpoints.due_after_epoch):
            self._save_checkpoint()
        for callback in self._callbacks:
            callback.epoch(self._history[-1])
        if epoch == self._first_judged < self._trainer.epochs:
            self._warn(self._compare_to_guessing(validation, self._history).find_dead_start(self._trainer.step))
        return validation

    def _resume(self) -> None:
        checkpoint = self._group.broadcast_from_rank0(self._checkpoints.load_newest() if self._checkpoints else None)
        if checkpoint is not None:
            for row in checkpoint.position.history:
                self._add_epoch(row)
            self._trainer.restore(checkpoint.position.step, checkpoint.tensors)
            if self._stopping:
                self._stopping.restore(checkpoint.tensors)

    def _add_epoch(self, row: Epoch) -> None:
        """Add an epoch to the history, and update the schedule: a resumed one is rebuilt from the history alone."""
        self._history.append(row)
        self._trainer.schedule.update(row.val_top1)

    def _after_step(self) -> None:
        for callback in self._callbacks:
            callback.step()
        self._warn(self._trainer.take_warning())
        asked = self._group.all_reduce_max(self._interruption.received or 0 if self._interruption else 0)
        if asked or (self._checkpoints and self._checkpoints.due):
            self._save_checkpoint()
        if asked and self._interruption:
            when = f"after {self._trainer.step:,} of {pluralize(self._trainer.steps, 'step')}"
            self._interruption.check(when, signal.Signals(asked))  # a signal to any process stops all of them

    def _save_checkpoint(self) -> None:
        if self._checkpoints is None:
            return
        position = Position(
            training=self._checkpoints.folder.name,
            step=self._trainer.step,
            steps=self._trainer.steps,
            epochs=self._trainer.epochs,
            history=self._history,
        )
        best = self._stopping.get_state() if self._stopping else {}
        self._checkpoints.save(Checkpoint(position, self._trainer.get_state() | best))

    def _compare_to_guessing(self, validation: Evaluation, history: Sequence[Epoch]) -> Guessing:
        """Compare a validation, after the last epoch of `history`, with the results of guessing."""
        loss, labels = self._trainer.loss, self._validation.labels
        return Guessing.of(history, loss.guessing_loss, loss.least, validation, labels, balanced=loss.balanced)

    def _warn(self, text: str | None) -> None:
        if text and not self._group.rank:
            for callback in self._callbacks:
                callback.warn(f"{self._trainer.model}: {text}")

    @property
    def _first_judged(self) -> int:
        """The first epoch after which a network that has learned nothing counts as a dead start."""
        steps = max(FEW_STEPS, self._trainer.steps * _JUDGED_FRACTION)
        return max(_JUDGED_EPOCHS, math.ceil(steps / self._trainer.steps_per_epoch))

    def _validate(self) -> Evaluation:
        return evaluate(
            self._trainer.network,
            self._validation,
            self._trainer.mean,
            flip_averaging=False,
            batch_size=self._trainer.validation_batch,
            dtype=self._trainer.dtype,
            group=self._group,
            views=self._trainer.views,
        )
