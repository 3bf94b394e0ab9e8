"""Optimizers that skip the import of PyTorch's compiler, the slowest part of starting a training.

PyTorch wraps some methods of optimizers so that torch.compile leaves them out, and the wrappers import the compiler.
Nothing is compiled here, so these classes call the unwrapped methods.
"""

from inspect import unwrap
from typing import Any

import torch
from torch import optim


class Uncompiled(optim.Optimizer):
    """A mixin that calls an optimizer's methods without torch.compile's wrappers; it computes the same."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        unwrap(optim.Optimizer.add_param_group)(self, param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        unwrap(optim.Optimizer.zero_grad)(self, set_to_none)


class SGD(Uncompiled, optim.SGD):
    """torch.optim.SGD, unwrapped."""

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        unwrap(optim.SGD.step)(self)
