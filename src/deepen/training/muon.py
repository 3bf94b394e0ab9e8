"""The Muon optimizer: SGD with momentum whose update of each weight matrix is orthogonalized.

Keller Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024,
kellerjordan.github.io/posts/muon.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from deepen.runtime.group import SINGLE_PROCESS, Group
from deepen.training.gram_newton_schulz import orthogonalize, orthogonalize_together
from deepen.training.optimizers import Uncompiled


class Muon(Uncompiled):
    """Nesterov momentum; the update of a parameter with two or more dimensions is the nearest orthogonal matrix.

    Such an update changes a layer equally for all directions of its input. Convolutions count as matrices
    (out, in * height * width). `weight_decay` shrinks matrices by lr * weight_decay per step. Vectors, which are biases
    and norms, get plain updates without decay, at `vector_lr` times `lr`. `lr` may be a tensor on the parameters'
    device. Computes in float32; `in_half` has the factors of the Newton-Schulz steps on CUDA in half precision. The
    processes of a `group`, whose gradients are equal, divide the matrices among them.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float | Tensor,
        *,
        momentum: float,
        weight_decay: float,
        vector_lr: float = 1.0,
        in_half: bool = False,
        group: Group = SINGLE_PROCESS,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self._vector_lr = vector_lr
        self._in_half, self._group = in_half, group

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Take one step; every parameter must have a gradient, which may be overwritten."""
        for group in self.param_groups:
            if self._in_half and group["params"][0].is_cuda:
                self._step_in_few_kernels(group)
            else:
                self._step_in_float32(group)

    def _step_in_float32(self, group: dict[str, Any]) -> None:
        lr, momentum, parameters = group["lr"], group["momentum"], group["params"]
        gradients = [parameter.grad for parameter in parameters]
        buffers = [self._get_momentum(parameter) for parameter in parameters]
        torch._foreach_mul_(buffers, momentum)
        torch._foreach_add_(buffers, gradients)
        steps = list(torch._foreach_add(gradients, buffers, alpha=momentum))
        matrices = [index for index, parameter in enumerate(parameters) if parameter.ndim > 1]
        if matrices:
            torch._foreach_mul_([parameters[index] for index in matrices], 1 - lr * group["weight_decay"])
        channels_last = [steps[index].movedim(1, -1) for index in matrices]  # the memory format of convolutions
        directions = self._orthogonalize([step.flatten(1) for step in channels_last])
        for index, step, direction in zip(matrices, channels_last, directions, strict=True):
            steps[index] = direction.reshape(step.shape).movedim(-1, 1)
        vectors = [index for index, parameter in enumerate(parameters) if parameter.ndim == 1]
        if vectors and self._vector_lr != 1:
            torch._foreach_mul_([steps[index] for index in vectors], self._vector_lr)
        torch._foreach_mul_(steps, lr)
        torch._foreach_sub_(parameters, steps)

    def _step_in_few_kernels(self, group: dict[str, Any]) -> None:
        """Take a step by PyTorch's fused kernels, each of which updates all tensors."""
        lr, momentum, weight_decay = group["lr"], group["momentum"], group["weight_decay"]
        vectors = [parameter for parameter in group["params"] if parameter.ndim == 1]
        matrices = [parameter for parameter in group["params"] if parameter.ndim > 1]
        if vectors:
            gradients, buffers = self._get_gradients(vectors)
            rate = lr if self._vector_lr == 1 else lr * self._vector_lr
            _fused_sgd(vectors, gradients, buffers, lr=rate, momentum=momentum, nesterov=momentum > 0)
        if matrices:
            gradients, buffers = self._get_gradients(matrices)
            # SGD of the gradients by themselves at the rate -momentum: Nesterov's gradient + momentum * buffer.
            _fused_sgd(gradients, gradients, buffers, lr=-momentum, momentum=momentum)
            _fused_sgd(matrices, self._orthogonalize_in_half(gradients), [], lr=lr, weight_decay=weight_decay)

    def _get_gradients(self, parameters: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Return the gradients, in the memory order of their parameters, and the momentum buffers."""
        gradients = []
        for parameter in parameters:
            gradient = parameter.grad
            assert gradient is not None
            if gradient.stride() != parameter.stride():
                gradient = torch.empty_like(parameter).copy_(gradient)
            gradients.append(gradient)
        return gradients, [self._get_momentum(parameter) for parameter in parameters]

    def _orthogonalize_in_half(self, steps: list[Tensor]) -> list[Tensor]:
        """Orthogonalize each step on one process of the group, all together, and broadcast it."""
        directions = [torch.empty_like(step) for step in steps]
        halves = [torch.empty_like(step, dtype=torch.bfloat16) for step in steps]
        torch._foreach_copy_(halves, steps)
        matrices, results = ([_view_as_matrix(tensor) for tensor in tensors] for tensors in (halves, directions))
        owners = assign_owners([count_multiplications(*matrix.shape) for matrix in matrices], self._group.size)
        own = [index for index, owner in enumerate(owners) if owner == self._group.rank]
        if own:
            orthogonalize_together([matrices[index] for index in own], [results[index] for index in own])
        self._group.broadcast(results, owners)
        return directions

    def _orthogonalize(self, matrices: Sequence[Tensor]) -> list[Tensor]:
        """Orthogonalize each matrix on one process of the group, equal shapes in one batch, and broadcast it."""
        owners = assign_owners([count_multiplications(*matrix.shape) for matrix in matrices], self._group.size)
        directions = [torch.empty_like(matrix, memory_format=torch.contiguous_format) for matrix in matrices]
        shapes: dict[torch.Size, list[int]] = {}
        for index, (matrix, owner) in enumerate(zip(matrices, owners, strict=True)):
            if owner == self._group.rank:
                shapes.setdefault(matrix.shape, []).append(index)
        for indices in shapes.values():
            batch = torch.stack([matrices[index] for index in indices])
            for index, direction in zip(indices, orthogonalize(batch), strict=True):
                directions[index] = direction.contiguous()
        self._group.broadcast(directions, owners)
        return directions

    def _get_momentum(self, parameter: Tensor) -> Tensor:
        """Return a parameter's momentum buffer, zeros at first."""
        state = self.state[parameter]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        buffer: Tensor = state["momentum_buffer"]
        return buffer


def _fused_sgd(
    parameters: Sequence[Tensor],
    gradients: Sequence[Tensor],
    buffers: Sequence[Tensor],
    *,
    lr: float | Tensor,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> None:
    """Step as torch.optim.SGD(fused=True) does, in one kernel; the buffers are of the momentum, if any."""
    torch._fused_sgd_(  # type: ignore[call-overload]
        parameters,
        gradients,
        buffers if momentum else [],
        weight_decay=weight_decay,
        momentum=momentum,
        lr=lr,
        dampening=0.0,
        nesterov=nesterov,
        maximize=False,
        is_first_step=False,
    )


def _view_as_matrix(weight: Tensor) -> Tensor:
    """View a weight, contiguous or channels-last, as a matrix (out, ...): the order of the columns does not matter."""
    return (weight if weight.is_contiguous() else weight.movedim(1, -1)).view(len(weight), -1)


def count_multiplications(rows: int, columns: int) -> int:
    """Estimate the multiplications that orthogonalizing a matrix takes, up to a constant factor."""
    return rows * columns * min(rows, columns)


def assign_owners(work: Sequence[int], workers: int) -> list[int]:
    """Return the worker of each piece of work: the largest piece first, each to the least loaded worker."""
    loads, owners = [0] * workers, [0] * len(work)
    for index in sorted(range(len(work)), key=lambda index: -work[index]):
        owners[index] = min(range(workers), key=loads.__getitem__)
        loads[owners[index]] += work[index]
    return owners
