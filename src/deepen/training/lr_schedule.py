"""The learning rate from step to step, reckoned on the host."""

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from deepen.config.recipes import OneCycle, Plateau
from deepen.training.optimizers import SGD

_PLATEAU_THRESHOLD = 1e-3  # relative: a gain below a thousandth of the best is none, as in the blog post


class Schedule:
    """What `settings` make of a peak learning rate over so many steps."""

    def __init__(self, settings: OneCycle | Plateau, peak_lr: float, steps: int) -> None:
        self._settings, self._peak_lr, self._steps = settings, peak_lr, steps
        self._bearer = SGD([torch.zeros(())], peak_lr)  # of the rate alone: PyTorch's plateau turns an optimizer's
        self._plateau = None
        if isinstance(settings, Plateau):
            self._plateau = ReduceLROnPlateau(
                self._bearer,
                mode="max",
                factor=settings.factor,
                patience=settings.patience,
                threshold=_PLATEAU_THRESHOLD,
            )

    def lr(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        if isinstance(self._settings, OneCycle):
            return self._peak_lr * one_cycle((step + 1) / (self._steps + 1), self._settings.warmup)
        return float(self._bearer.param_groups[0]["lr"])

    def validated(self, top1: float) -> None:
        """Take note of validation top-1 (percent) after an epoch: a plateau is of that."""
        if self._plateau is not None:
            self._plateau.step(top1)


def one_cycle(time: float, warmup: float) -> float:
    """The learning rate as a fraction of its peak, at a `time` of 0 to 1: straight up until `warmup`, then down."""
    return min(time / warmup, (1 - time) / (1 - warmup))
