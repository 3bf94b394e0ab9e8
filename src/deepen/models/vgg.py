"""A plan of layers -> a network whose modules, and so its state-dict keys, are named by role."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from deepen.models.layers import BATCH_NORM_EPSILON, Layer
from deepen.runtime.group import ALONE, Group

_MOMENTUM = 0.1  # how far the running statistics go to those of a batch


class VGG(nn.Module):
    """A plain convolutional network: ReLU after every convolution, or its norm, and every fully-connected layer.

    `dropout` is the fraction of a fully-connected layer's outputs that training sets to zero. The parameters of frozen
    layers have no gradient.
    """

    def __init__(self, layers: Sequence[Layer], dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = tuple(layers)
        self.dropout = dropout
        self._group, self._batch = ALONE, 0
        for layer in self.layers:
            if layer.kind == "norm":
                self.add_module(layer.role, BatchNorm(layer.outputs[0], layer.frozen))
            elif layer.kind == "conv":
                conv = nn.Conv2d(layer.inputs[0], layer.outputs[0], layer.kernel, padding=layer.kernel // 2)
                self.add_module(layer.role, conv)
            elif layer.kind != "maxpool":
                self.add_module(layer.role, nn.Linear(prod(layer.inputs), layer.outputs[0]))
            if layer.frozen:
                self.get_submodule(layer.role).requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, classes) of images (batch, channels, height, width), 0-1 scale minus the channel mean."""
        x = self.features(images)
        for layer in self.layers:
            if layer.kind == "fc":
                x = functional.relu(self.get_submodule(layer.role)(x.flatten(1)), inplace=True)
                x = self._dropped(x)
        logits: Tensor = self.get_submodule("head")(x.flatten(1))
        return logits

    def features(self, images: Tensor) -> Tensor:
        """What convolutions and pools make of images of any height and width: (batch, channels, height, width)."""
        x, rectify = images, False  # whether a ReLU is still to come: it waits for the pool, which leaves it less to do
        for layer in self.layers:
            if rectify and layer.kind not in ("norm", "maxpool"):
                x, rectify = functional.relu(x, inplace=True), False
            if layer.kind == "conv":
                x, rectify = self.get_submodule(layer.role)(x), True
            elif layer.kind == "norm":
                x = self.get_submodule(layer.role)(x)
            elif layer.kind == "maxpool":
                x = functional.max_pool2d(x, 2)
        return x

    def share(self, group: Group, batch: int) -> None:
        """In training, be given a part of each batch of so many images, while others of the group have the rest."""
        self._group, self._batch = group, batch
        for module in self.modules():
            if isinstance(module, BatchNorm):
                module.group = group

    def _dropped(self, x: Tensor) -> Tensor:
        """What dropout leaves of (batch, units): it is drawn for the whole batch, whichever part of that is here."""
        if not self.training or self._group.size == 1:
            return functional.dropout(x, self.dropout, self.training)
        kept = functional.dropout(x.new_ones(self._batch, x.shape[1]), self.dropout)
        return x * kept[self._group.part(self._batch)]


class BatchNorm(nn.Module):
    """Batch normalization of (batch, channels, height, width), arXiv 1502.03167; its state has no count of batches.

    If `frozen` it normalizes by its running statistics in training too, and keeps them.
    """

    def __init__(self, channels: int, frozen: bool = False) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.running_mean, self.running_var = nn.Buffer(torch.zeros(channels)), nn.Buffer(torch.ones(channels))
        self.frozen, self.group = frozen, ALONE

    def forward(self, x: Tensor) -> Tensor:
        """Training normalizes by the batch and moves the running statistics a tenth of the way there."""
        by_batch = self.training and not self.frozen
        if by_batch and self.group.size > 1:
            return self._by_the_whole_batch(x)
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

    def _by_the_whole_batch(self, x: Tensor) -> Tensor:
        """The same, of this process' part of a batch, by the mean and variance of all parts."""
        pixels = self.group.sum(torch.tensor(x.numel() / x.shape[1], device=x.device))
        wide = x.float()
        centred = wide - (mean := self.group.sum(wide.sum((0, 2, 3))) / pixels)[:, None, None]
        variance = self.group.sum(centred.square().sum((0, 2, 3))) / pixels
        self.running_mean.lerp_(mean.detach(), _MOMENTUM)
        self.running_var.lerp_(variance.detach() * pixels / (pixels - 1), _MOMENTUM)
        scale = self.weight * (variance + BATCH_NORM_EPSILON).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)


def network(layers: Sequence[Layer], state: Mapping[str, Tensor | NDArray[Any]], dropout: float = 0.0) -> VGG:
    """A network that holds the very tensors or arrays of `state`, not copies.

    Raises RuntimeError where a key does not fit.
    """
    with torch.device("meta"):
        net = VGG(layers, dropout)
    net.load_state_dict({key: torch.as_tensor(values) for key, values in state.items()}, strict=True, assign=True)
    return net
