"""Muon: momentum whose step for each weight matrix is made orthogonal.

Keller Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024,
kellerjordan.github.io/posts/muon.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn, optim

_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # the post's coefficients: steep at 0, so that few steps are enough
_STEPS = 5


class Muon(optim.Optimizer):
    """Nesterov momentum; the step of a parameter of two dimensions or more is made the nearest orthogonal matrix.

    Such a step changes a layer as much for one direction of its input as for any other. Convolutions count as matrices
    (out, in * height * width). `weight_decay` shrinks matrices by lr * weight_decay a step; biases take plain steps
    without decay. All in float32.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        *,
        momentum: float,
        weight_decay: float,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Take one step; every parameter must have a gradient."""
        for group in self.param_groups:
            lr, momentum = group["lr"], group["momentum"]
            for parameter in group["params"]:
                mean = self.state[parameter].setdefault("momentum_buffer", torch.zeros_like(parameter))
                mean.mul_(momentum).add_(parameter.grad)
                step = parameter.grad.add(mean, alpha=momentum)
                if parameter.ndim > 1:
                    parameter.mul_(1 - lr * group["weight_decay"])
                    step = orthogonalize(step.flatten(1)).view(step.shape)
                parameter.add_(step, alpha=-lr)


def orthogonalize(matrix: Tensor) -> Tensor:
    """Nearly U @ V.T of the singular value decomposition U @ S @ V.T of `matrix` (rows, columns).

    Five Newton-Schulz steps x -> (a + b * x @ x.T + c * (x @ x.T)**2) @ x bring every singular value that is no tiny
    fraction of the largest to between 0.7 and 1.2, times sqrt(rows / columns) where that is above 1.
    """
    rows, columns = matrix.shape
    x = matrix if rows <= columns else matrix.T
    x = x / x.norm().clamp(min=1e-7)
    # The steps' factors of x depend on x @ x.T alone, which is smaller than x: multiply them first, x last.
    gram = x @ x.T
    factors = factor = _factor(gram)
    for _ in range(_STEPS - 1):
        gram = factor @ gram @ factor
        factor = _factor(gram)
        factors = factor @ factors
    x = torch.mm(factors, x)
    return x if rows <= columns else x.T * math.sqrt(rows / columns)


def _factor(gram: Tensor) -> Tensor:
    a, b, c = _NEWTON_SCHULZ
    factor = torch.addmm(gram, gram, gram, beta=b, alpha=c)
    factor.diagonal().add_(a)
    return factor
