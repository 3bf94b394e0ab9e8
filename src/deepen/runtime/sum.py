"""The sum of a tensor over all processes, through which gradients flow."""

import torch
from torch import Tensor, distributed


class Sum(torch.autograd.Function):
    """The sum over all processes; its gradient is the sum of all gradients."""

    @staticmethod
    def forward(ctx: object, value: Tensor) -> Tensor:
        total = value.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        distributed.all_reduce(total)
        return total
