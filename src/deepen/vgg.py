"""A plan of layers -> a network whose modules, and so its state-dict keys, are named by role."""

from collections.abc import Mapping, Sequence
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from deepen.layers import Layer

BATCH_NORM_EPSILON = 1e-5


class VGG(nn.Module):
    """A plain convolutional network: ReLU after every convolution, or its norm, and every fully-connected layer.

    `dropout` is the fraction of a fully-connected layer's outputs that training sets to zero.
    """

    def __init__(self, layers: Sequence[Layer], dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = tuple(layers)
        self.dropout = dropout
        for layer in self.layers:
            if layer.kind == "norm":
                self.add_module(layer.role, BatchNorm(layer.outputs[0]))
            elif layer.kind == "conv":
                conv = nn.Conv2d(layer.inputs[0], layer.outputs[0], layer.kernel, padding=layer.kernel // 2)
                self.add_module(layer.role, conv)
            elif layer.kind != "maxpool":
                self.add_module(layer.role, nn.Linear(prod(layer.inputs), layer.outputs[0]))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, classes) of images (batch, channels, height, width), 0-1 scale minus the channel mean."""
        x = self.features(images)
        for layer in self.layers:
            if layer.kind == "fc":
                x = functional.relu(self.get_submodule(layer.role)(x.flatten(1)), inplace=True)
                x = functional.dropout(x, self.dropout, self.training)
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


class BatchNorm(nn.Module):
    """Batch normalization of (batch, channels, height, width), arXiv 1502.03167; its state has no count of batches."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.running_mean, self.running_var = nn.Buffer(torch.zeros(channels)), nn.Buffer(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Training normalizes by the batch and moves the running statistics a tenth of the way there."""
        return functional.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, self.training, eps=BATCH_NORM_EPSILON
        )


def network(layers: Sequence[Layer], state: Mapping[str, Tensor], dropout: float = 0.0) -> VGG:
    """A network that holds the very tensors of `state`, not copies; raises RuntimeError where a key does not fit."""
    with torch.device("meta"):
        net = VGG(layers, dropout)
    net.load_state_dict(state, strict=True, assign=True)
    return net
