"""A plan of layers -> a network whose modules, and so its state-dict keys, are named by role."""

from collections.abc import Mapping, Sequence
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from deepen.layers import Layer


class VGG(nn.Module):
    """A plain convolutional network: ReLU after every convolution and fully-connected layer but the head.

    `dropout` is the fraction of a fully-connected layer's outputs that training sets to zero.
    """

    def __init__(self, layers: Sequence[Layer], dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = tuple(layers)
        self.dropout = dropout
        for layer in self.layers:
            if layer.kind == "conv":
                conv = nn.Conv2d(layer.inputs[0], layer.outputs[0], layer.kernel, padding=layer.kernel // 2)
                self.add_module(layer.role, conv)
            elif layer.kind != "maxpool":
                self.add_module(layer.role, nn.Linear(prod(layer.inputs), layer.outputs[0]))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, classes) of images (batch, channels, height, width), 0-1 scale minus the channel mean."""
        x, rectify = (
            images,
            False,
        )  # whether a convolution's ReLU is still to come: after its pool, which leaves less to do
        for layer in self.layers:
            if rectify and layer.kind != "maxpool":
                x, rectify = functional.relu(x, inplace=True), False
            if layer.kind == "conv":
                x, rectify = self.get_submodule(layer.role)(x), True
            elif layer.kind == "maxpool":
                x = functional.max_pool2d(x, 2)
            elif layer.kind == "fc":
                x = functional.relu(self.get_submodule(layer.role)(x.flatten(1)), inplace=True)
                x = functional.dropout(x, self.dropout, self.training)
        logits: Tensor = self.get_submodule("head")(x.flatten(1))
        return logits


def network(layers: Sequence[Layer], state: Mapping[str, Tensor], dropout: float = 0.0) -> VGG:
    """A network that holds the very tensors of `state`, not copies; raises RuntimeError where a key does not fit."""
    with torch.device("meta"):
        net = VGG(layers, dropout)
    net.load_state_dict(state, strict=True, assign=True)
    return net
