"""The optimizers, learning-rate schedules and lookahead of the peer."""

from typing import Any

import torch
from torch import Tensor, nn, optim

from benchmarks.peer.network import PeerNetwork
from benchmarks.peer.recipes import PeerRecipe
from deepen.training.optimizers import SGD, Uncompiled

_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # of Muon, kellerjordan.github.io/posts/muon
_NEWTON_SCHULZ_STEPS = 3
_LOOKAHEAD_STEPS = 5  # between two updates of the slow weights
_START, _PEAK, _END = 0.2, 0.23, 0.07  # of SGD's schedule: first rate, place of the peak, last rate, as fractions


class NormalizedMuon(Uncompiled):
    """Muon for convolutions, which first scales each weight tensor to the norm sqrt(output channels)."""

    def __init__(self, parameters: list[nn.Parameter], lr: Tensor, momentum: float) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Take one step with Nesterov momentum."""
        for group in self.param_groups:
            for parameter in group["params"]:
                momentum = self._get_momentum(parameter)
                momentum.mul_(group["momentum"]).add_(parameter.grad)
                step = parameter.grad + group["momentum"] * momentum
                parameter.mul_(len(parameter) ** 0.5 / parameter.norm())
                parameter.sub_(group["lr"] * orthogonalize(step.flatten(1)).view_as(parameter))

    def _get_momentum(self, parameter: Tensor) -> Tensor:
        """Return a parameter's momentum, zeros at first."""
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum: Tensor = state["momentum"]
        return momentum


def orthogonalize(matrix: Tensor) -> Tensor:
    """Approximate the nearest orthogonal matrix by Newton-Schulz steps, in bfloat16 on CUDA."""
    a, b, c = _NEWTON_SCHULZ
    x = matrix.bfloat16() if matrix.is_cuda else matrix
    x = x / (x.norm() + 1e-7)
    x = x.T if len(matrix) > matrix.shape[1] else x
    for _ in range(_NEWTON_SCHULZ_STEPS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    x = x.T if len(matrix) > matrix.shape[1] else x
    return torch.as_tensor(x, dtype=matrix.dtype)


def make_optimizers(network: PeerNetwork, recipe: PeerRecipe, device: torch.device) -> list[optim.Optimizer]:
    """Make the optimizers; each parameter group has a `name` and its `peak` learning rate."""
    filters = [parameter for parameter in network.blocks.parameters() if parameter.ndim == 4]
    biases = [module.bias for module in network.blocks if isinstance(module, nn.BatchNorm2d)]
    decay = recipe.decay * recipe.batch_size
    groups = [
        _make_group("whitening bias", [network.whitening.bias], recipe.whitening_bias_lr, decay, device),
        _make_group("norm biases", biases, recipe.norm_bias_lr, decay, device),
        _make_group("head", [network.head.weight], recipe.head_lr, decay, device),
    ]
    muon = None
    if recipe.optimizer == "muon":
        muon = NormalizedMuon(filters, torch.zeros((), device=device), recipe.filter_momentum)
        muon.param_groups[0] |= {"name": "filters", "peak": recipe.filter_lr}
    else:
        filter_group = _make_group("filters", filters, recipe.filter_lr, decay, device)
        groups.append(filter_group | {"momentum": recipe.filter_momentum})
    rest = SGD(groups, momentum=recipe.momentum, nesterov=True, fused=device.type == "cuda")
    return [rest] if muon is None else [rest, muon]


def _make_group(name: str, parameters: list[Any], peak: float, decay: float, device: torch.device) -> dict[str, Any]:
    lr = torch.zeros((), device=device)  # a tensor, so that it changes without synchronizing
    return {"name": name, "params": parameters, "lr": lr, "peak": peak, "weight_decay": decay / peak}


def set_learning_rates(
    optimizers: list[optim.Optimizer], recipe: PeerRecipe, step: int, steps: int, whitening_bias_steps: int
) -> None:
    """Set the learning rates of a step, counted from 0."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            if recipe.optimizer == "sgd":
                factor = compute_triangle(step / steps)
            elif group["name"] == "whitening bias":
                factor = max(0.0, 1 - step / whitening_bias_steps)
            else:
                factor = 1 - step / steps
            group["lr"].fill_(group["peak"] * factor)


def compute_triangle(time: float) -> float:
    """Return the learning rate as a fraction of its peak at `time` (0-1)."""
    if time < _PEAK:
        return _START + (1 - _START) * time / _PEAK
    return 1 + (_END - 1) * (time - _PEAK) / (1 - _PEAK)


class Lookahead:
    """Slow weights that follow the network's, which return to them every five steps (arXiv 1907.08610).

    The slow weights follow more slowly towards the end of `steps`; running statistics are included.
    """

    def __init__(self, network: nn.Module, steps: int) -> None:
        self._steps = steps
        self._fast = [tensor for tensor in network.state_dict().values() if tensor.is_floating_point()]
        self._slow = [tensor.clone() for tensor in self._fast]

    def update(self, done: int) -> None:
        """Update after `done` steps; the network ends with the slow weights."""
        if done % _LOOKAHEAD_STEPS == 0:
            decay = 0.95**_LOOKAHEAD_STEPS * (done / self._steps) ** 3
            torch._foreach_lerp_(self._slow, self._fast, 1 - decay)
        if done % _LOOKAHEAD_STEPS == 0 or done == self._steps:
            torch._foreach_copy_(self._fast, self._slow)
