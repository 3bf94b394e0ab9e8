"""Learning-rate schedules, computed on the CPU."""

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from deepen.config.recipes import OneCycle, Plateau
from deepen.training.optimizers import SGD

_PLATEAU_THRESHOLD = 1e-3  # relative: a smaller gain over the best counts as none, as in the blog post


class Schedule:
    """The learning-rate schedule of `settings` for a peak learning rate and a number of steps."""

    def __init__(self, settings: OneCycle | Plateau, peak_lr: float, steps: int) -> None:
        self._settings, self._peak_lr, self._steps = settings, peak_lr, steps
        self._optimizer = SGD([torch.zeros(())], peak_lr)  # a dummy: ReduceLROnPlateau changes an optimizer's rate
        self._plateau = None
        if isinstance(settings, Plateau):
            self._plateau = ReduceLROnPlateau(
                self._optimizer,
                mode="max",
                factor=settings.factor,
                patience=settings.patience,
                threshold=_PLATEAU_THRESHOLD,
            )

    def compute_lr(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        if isinstance(self._settings, OneCycle):
            return self._peak_lr * compute_one_cycle((step + 1) / (self._steps + 1), self._settings.warmup)
        return float(self._optimizer.param_groups[0]["lr"])

    def update(self, top1: float) -> None:
        """Update a plateau schedule with the validation top-1 (percent) of an epoch."""
        if self._plateau is not None:
            self._plateau.step(top1)


def compute_one_cycle(time: float, warmup: float) -> float:
    """Return the learning rate as a fraction of its peak at `time` (0-1): linear up to `warmup`, then linear down."""
    return min(time / warmup, (1 - time) / (1 - warmup))
