"""The VGG network as a PyTorch module; modules and state-dict keys are named by layer role."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from deepen.models.layers import BATCH_NORM_EPSILON, Layer
from deepen.runtime.group import SINGLE_PROCESS, Group

_MOMENTUM = 0.1  # weight of a batch in the running statistics


class VGG(nn.Module):
    """A VGG-style convolutional network: ReLU after each convolution, or its norm, and each fully-connected layer.

    `dropout` is the dropout probability after fully-connected layers. The parameters of frozen layers have no gradient.
    """

    def __init__(self, layers: Sequence[Layer], dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = tuple(layers)
        self.dropout = dropout
        self._group, self._batch = SINGLE_PROCESS, 0
        for layer in self.layers:
            if layer.kind == "norm":
                self.add_module(layer.role, BatchNorm(layer.outputs[0], layer.frozen))
            elif layer.kind == "conv":
                conv = nn.Conv2d(layer.inputs[0], layer.outputs[0], layer.kernel, padding=layer.padding)
                self.add_module(layer.role, conv)
            elif layer.kind != "maxpool":
                self.add_module(layer.role, nn.Linear(prod(layer.inputs), layer.outputs[0]))
            if layer.frozen:
                self.get_submodule(layer.role).requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (batch, classes) of normalized images (batch, channels, height, width)."""
        x = self.features(images)
        for layer in self.layers:
            if layer.kind == "fc":
                x = functional.relu(self.get_submodule(layer.role)(x.flatten(1)), inplace=True)
                x = self._apply_dropout(x)
        logits: Tensor = self.get_submodule("head")(x.flatten(1))
        return logits

    def features(self, images: Tensor) -> Tensor:
        """Apply convolutions and pools to images of any height and width: (batch, channels, height, width)."""
        x, rectify = images, False  # a pending ReLU: after the pool it has fewer inputs
        for layer in self.layers:
            if rectify and layer.kind not in ("norm", "maxpool"):
                x, rectify = functional.relu(x, inplace=True), False
            if layer.kind == "conv":
                x, rectify = self.get_submodule(layer.role)(x), True
            elif layer.kind == "norm":
                x = self.get_submodule(layer.role)(x)
            elif layer.kind == "maxpool":
                x = functional.max_pool2d(x, layer.kernel)
        return x

    def use_shards(self, group: Group, batch: int) -> None:
        """In training, process one shard of each batch of `batch` images; other ranks of the group process the rest."""
        self._group, self._batch = group, batch
        for module in self.modules():
            if isinstance(module, BatchNorm):
                module.group = group

    def _apply_dropout(self, x: Tensor) -> Tensor:
        """Apply dropout to (batch, units); the mask is drawn for the whole batch, also for a shard of it."""
        if not self.training or self._group.size == 1:
            return functional.dropout(x, self.dropout, self.training)
        kept = functional.dropout(x.new_ones(self._batch, x.shape[1]), self.dropout)
        return x * kept[self._group.shard(self._batch)]


class BatchNorm(nn.Module):
    """Batch normalization of (batch, channels, height, width), arXiv 1502.03167, without a count of batches.

    If `frozen`, it uses its running statistics in training too, and keeps them.
    """

    def __init__(self, channels: int, frozen: bool = False) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.running_mean, self.running_var = nn.Buffer(torch.zeros(channels)), nn.Buffer(torch.ones(channels))
        self.frozen, self.group = frozen, SINGLE_PROCESS

    def forward(self, x: Tensor) -> Tensor:
        """Normalize: in training by the statistics of the batch, which update the running statistics."""
        by_batch = self.training and not self.frozen
        if by_batch and self.group.size > 1:
            return self._normalize_across_ranks(x)
        return functional.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            by_batch,
            _MOMENTUM,
            BATCH_NORM_EPSILON,
        )

    def _normalize_across_ranks(self, x: Tensor) -> Tensor:
        """Normalize this process' shard by the mean and variance of the whole batch."""
        pixels = self.group.all_reduce_sum(torch.full((), x.numel() / x.shape[1], device=x.device))
        wide = x.float()
        centred = wide - (mean := self.group.all_reduce_sum(wide.sum((0, 2, 3))) / pixels)[:, None, None]
        variance = self.group.all_reduce_sum(centred.square().sum((0, 2, 3))) / pixels
        self.running_mean.lerp_(mean.detach(), _MOMENTUM)
        self.running_var.lerp_(variance.detach() * pixels / (pixels - 1), _MOMENTUM)
        scale = self.weight * (variance + BATCH_NORM_EPSILON).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)


def build_network(layers: Sequence[Layer], state: Mapping[str, Tensor | NDArray[Any]], dropout: float = 0.0) -> VGG:
    """Build a network that holds the tensors or arrays of `state` without copying them.

    Raises RuntimeError if a key or shape does not match.
    """
    with torch.device("meta"):
        net = VGG(layers, dropout)
    net.load_state_dict({key: torch.as_tensor(values) for key, values in state.items()}, strict=True, assign=True)
    return net
