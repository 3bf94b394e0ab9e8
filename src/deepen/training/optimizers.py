"""PyTorch's optimizers without its compiler, whose import takes longer than all else before the first step.

PyTorch imports it to keep it from compiling some methods of optimizers. Nothing is compiled here but what is asked for,
and so these call the methods themselves.
"""

from inspect import unwrap
from typing import Any

import torch
from torch import optim


class Uncompiled(optim.Optimizer):
    """A base that comes before an optimizer's own: what it does is the same."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        unwrap(optim.Optimizer.add_param_group)(self, param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        unwrap(optim.Optimizer.zero_grad)(self, set_to_none)


class SGD(Uncompiled, optim.SGD):
    """torch.optim.SGD."""

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        unwrap(optim.SGD.step)(self)
