"""Muon: momentum whose step for each weight matrix is made orthogonal.

Keller Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024,
kellerjordan.github.io/posts/muon.
"""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from deepen.runtime.group import ALONE, Group
from deepen.training.optimizers import Uncompiled

_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # the post's coefficients: steep at 0, so that few steps are enough
_STEPS = 5


class Muon(Uncompiled):
    """Nesterov momentum; the step of a parameter of two dimensions or more is made the nearest orthogonal matrix.

    Such a step changes a layer as much for one direction of its input as for any other. Convolutions count as matrices
    (out, in * height * width). `weight_decay` shrinks matrices by lr * weight_decay a step; biases take plain steps
    without decay. `lr` may be a tensor on the parameters' device. All in float32, but the Newton-Schulz steps on CUDA.
    A `group`, whose processes have equal gradients, shares the matrices out.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float | Tensor,
        *,
        momentum: float,
        weight_decay: float,
        group: Group = ALONE,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self._group = group

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Take one step; every parameter must have a gradient."""
        for group in self.param_groups:
            lr, momentum, parameters = group["lr"], group["momentum"], group["params"]
            gradients = [parameter.grad for parameter in parameters]
            means = [self._mean(parameter) for parameter in parameters]
            torch._foreach_mul_(means, momentum)
            torch._foreach_add_(means, gradients)
            steps = list(torch._foreach_add(gradients, means, alpha=momentum))
            matrices = [index for index, parameter in enumerate(parameters) if parameter.ndim > 1]
            if matrices:
                torch._foreach_mul_([parameters[index] for index in matrices], 1 - lr * group["weight_decay"])
            channels_last = [steps[index].movedim(1, -1) for index in matrices]  # as convolutions lie in memory
            directions = self._orthogonal([step.flatten(1) for step in channels_last])
            for index, step, direction in zip(matrices, channels_last, directions, strict=True):
                steps[index] = direction.reshape(step.shape).movedim(-1, 1)
            torch._foreach_mul_(steps, lr)
            torch._foreach_sub_(parameters, steps)

    def _orthogonal(self, matrices: Sequence[Tensor]) -> list[Tensor]:
        """Each of the matrices made orthogonal, those of one shape together, by one of the group for all."""
        owners = shared_out([operations(*matrix.shape) for matrix in matrices], self._group.size)
        found = [torch.empty_like(matrix, memory_format=torch.contiguous_format) for matrix in matrices]
        shapes: dict[torch.Size, list[int]] = {}
        for index, (matrix, owner) in enumerate(zip(matrices, owners, strict=True)):
            if owner == self._group.rank:
                shapes.setdefault(matrix.shape, []).append(index)
        for alike in shapes.values():
            for index, direction in zip(alike, orthogonalize(torch.stack([matrices[i] for i in alike])), strict=True):
                found[index] = direction.contiguous()
        self._group.spread(found, owners)
        return found

    def _mean(self, parameter: Tensor) -> Tensor:
        """The running sum of a parameter's gradients that momentum keeps."""
        state = self.state[parameter]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        mean: Tensor = state["momentum_buffer"]
        return mean


def operations(rows: int, columns: int) -> int:
    """About how many multiplications it takes to make a matrix orthogonal."""
    return rows * columns * min(rows, columns)


def shared_out(work: Sequence[int], workers: int) -> list[int]:
    """Which worker does each piece of work: the largest first, each by whom has least to do so far."""
    loads, owners = [0] * workers, [0] * len(work)
    for index in sorted(range(len(work)), key=lambda index: -work[index]):
        owners[index] = min(range(workers), key=loads.__getitem__)
        loads[owners[index]] += work[index]
    return owners


def orthogonalize(matrices: Tensor) -> Tensor:
    """Nearly U @ V.T of the singular value decomposition U @ S @ V.T of each of `matrices` (count, rows, columns).

    Five Newton-Schulz steps x -> (a + b * x @ x.T + c * (x @ x.T)**2) @ x bring every singular value that is no tiny
    fraction of the largest to between 0.7 and 1.2, times sqrt(rows / columns) where that is above 1.
    """
    rows, columns = matrices.shape[1:]
    x = matrices if rows <= columns else matrices.mT
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    x = _in_bfloat16(x) if x.is_cuda else _by_gram_matrix(x)
    return x if rows <= columns else x.mT * math.sqrt(rows / columns)


def _by_gram_matrix(x: Tensor) -> Tensor:
    """The steps' factors of x, which depend on x @ x.T alone, multiplied first: fewer operations where x is wide.

    Squared, what is small in x drowns in the rounding of anything coarser than float32.
    """
    gram = x @ x.mT
    factors = factor = _factor(gram)
    for _ in range(_STEPS - 1):
        gram = factor @ gram @ factor
        factor = _factor(gram)
        factors = factor @ factors
    return factors @ x


def _in_bfloat16(x: Tensor) -> Tensor:
    """The steps one by one, for matrix units that multiply bfloat16 many times faster than float32."""
    x = x.bfloat16()
    for _ in range(_STEPS):
        x = _factor(x @ x.mT) @ x
    return x.float()


def _factor(gram: Tensor) -> Tensor:
    a, b, c = _NEWTON_SCHULZ
    factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
    factor.diagonal(dim1=1, dim2=2).add_(a)
    return factor
