"""The VGG paper's layer notation, and what it says about roles, shapes and parameters.

`conv3-256` is a 3x3 convolution with 256 output channels, `conv3-512*6` six in a row, `maxpool` halves height and
width, `fc-1024` is a fully-connected layer (arXiv 1409.1556, table 1). A last fully-connected layer, the `head`, with
one output a class is never written: it always follows.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

from deepen.errors import InputError

Kind = Literal["conv", "norm", "maxpool", "fc", "head"]
Norm = Literal["none", "batch"]
Shape = tuple[int, ...]

_TOKEN = re.compile(
    r"(?:conv(?P<kernel>[0-9]{1,9})-(?P<channels>[0-9]{1,9})|fc-(?P<units>[0-9]{1,9}))(?:\*(?P<times>[0-9]{1,9}))?|maxpool"
)
_STATISTICS = ("running_mean", "running_var")
_MOST_CHANNELS = 65_536
_MOST_REPEATS = 1_000


@dataclass(frozen=True)
class Layer:
    """One layer of a network, named by its role: `conv3_2` is the second convolution of the third group.

    `inputs` and `outputs` are shapes of one image's activations: (channels, height, width), or (features,).
    """

    kind: Kind
    role: str
    inputs: Shape
    outputs: Shape
    kernel: int = 1

    def tensors(self) -> dict[str, Shape]:
        """The shapes of the layer's tensors by state-dict key: `conv3_2.weight`, `conv3_2.bias`; none for a pool.

        A norm has running statistics besides.
        """
        if self.kind == "maxpool":
            return {}
        if self.kind == "norm":
            return {f"{self.role}.{name}": self.outputs[:1] for name in ("weight", "bias", *_STATISTICS)}
        if self.kind == "conv":
            weight: Shape = (self.outputs[0], self.inputs[0], self.kernel, self.kernel)
        else:
            weight = (self.outputs[0], prod(self.inputs))
        return {f"{self.role}.weight": weight, f"{self.role}.bias": (self.outputs[0],)}


def check_notation(text: str) -> list[str]:
    """Every fault in a layer string that can be told without knowing width or image size."""
    tokens = text.split()
    if not tokens:
        return ['layers: "" has no layer; write for example "conv3-128 maxpool fc-1024"']
    faults = [
        f'layers[{i}]: "{token[:60]}" {fault}' for i, token in enumerate(tokens) if (fault := _token_fault(token))
    ]
    if not any(token.startswith("conv") for token in tokens):
        faults.append(f'layers: "{text[:60]}" has no convolution; write for example "conv3-128 maxpool fc-1024"')
    first_fc = next((i for i, token in enumerate(tokens) if token.startswith("fc")), len(tokens))
    for i, token in enumerate(tokens):
        if i > first_fc and not token.startswith("fc"):
            faults.append(
                f'layers[{i}]: "{token[:60]}" comes after a fully-connected layer; move it before the first fc'
            )
    return faults


def _token_fault(token: str) -> str | None:
    match = _TOKEN.fullmatch(token)
    if match is None:
        return _shape_of_the_mistake(token)
    numbers = {name: int(digits) for name, digits in match.groupdict(default="1").items()}
    if numbers["kernel"] % 2 == 0:
        return f"has an even kernel; only odd ones keep height and width, write for example conv3-{numbers['channels']}"
    if numbers["kernel"] > 99:
        return "has a kernel above 99; write for example conv3-256"
    if not 1 <= max(numbers["channels"], numbers["units"]) <= _MOST_CHANNELS or 0 in numbers.values():
        return f"counts must lie between 1 and {_MOST_CHANNELS}; write for example conv3-256 or fc-1024"
    if numbers["times"] > _MOST_REPEATS:
        return f"repeats more than {_MOST_REPEATS} times; write for example conv3-512*6"
    return None


def _shape_of_the_mistake(token: str) -> str:
    if re.fullmatch(r"conv[0-9]+-?", token):
        return "has no channel count; write for example conv3-256"
    if re.match(r"conv-?[0-9]*$", token):
        return "has no kernel size and channel count; write for example conv3-256"
    if re.fullmatch(r"fc-?", token):
        return "has no number of units; write for example fc-1024"
    if token.startswith("maxpool"):
        return "takes no number; write maxpool"
    return "is none of conv<kernel>-<channels>, fc-<units>, each with *<times> if wanted, and maxpool"


def parse(text: str) -> Iterator[tuple[Kind, int, int]]:
    """The layers one by one as (kind, kernel size, unscaled output count), repeats written out; raises InputError."""
    if faults := check_notation(text):
        raise InputError(faults)
    for token in text.split():
        match = _TOKEN.fullmatch(token)
        if match is None or token == "maxpool":
            yield "maxpool", 2, 0
            continue
        kernel, channels, units, times = match.group("kernel", "channels", "units", "times")
        for _ in range(int(times or 1)):
            yield ("conv", int(kernel), int(channels)) if channels else ("fc", 1, int(units))


def width_fault(text: str, width: float) -> str | None:
    """What is wrong with a width that leaves some layer without a channel; None where there is nothing."""
    narrowest = min(count for kind, _, count in parse(text) if kind != "maxpool")
    if round(narrowest * width) >= 1:
        return None
    return f"{width} leaves no channel of {narrowest} in {text!r}; take at least {1 / narrowest:.4g}"


def plan(text: str, *, width: float, image: Shape, classes: int, norm: Norm = "none") -> tuple[Layer, ...]:
    """Lay a network out for images of shape `image` = (channels, height, width).

    `width` multiplies every channel and unit count (0.25 = a quarter of each); the head has `classes` outputs. With
    `norm` batch, `norm3_2` follows `conv3_2`.
    Raises InputError where the width leaves no channel or an image is too small for its pools, naming the layer.
    """
    if fault := width_fault(text, width):
        raise InputError(f"width: {fault}")
    layers: list[Layer] = []
    group, index, fc, shape = 1, 0, 0, image
    for position, (kind, kernel, count) in enumerate(parse(text)):
        scaled = round(count * width)
        if kind == "conv":
            index += 1
            layer = Layer("conv", f"conv{group}_{index}", shape, (scaled, *shape[1:]), kernel)
        elif kind == "maxpool":
            if min(shape[1:]) < 2:
                raise InputError(
                    f"layer {position + 1} of {text!r}: maxpool halves height and width, "
                    f"but images of {image[1]}x{image[2]} "
                    f"are {shape[1]}x{shape[2]} there already; take larger images or fewer than {group} maxpool"
                )
            layer = Layer("maxpool", f"pool{group}", shape, (shape[0], shape[1] // 2, shape[2] // 2), kernel)
            group, index = group + 1, 0
        else:
            fc += 1
            layer = Layer("fc", f"fc{fc}", shape, (scaled,))
        layers.append(layer)
        shape = layer.outputs
        if kind == "conv" and norm == "batch":
            layers.append(Layer("norm", f"norm{group}_{index}", shape, shape))
    return (*layers, Layer("head", "head", shape, (classes,)))


def weight_layers(text: str) -> int:
    """How deep a network is: its convolutions and fully-connected layers, the head counted."""
    return 1 + sum(kind != "maxpool" for kind, _, _ in parse(text))


def tensor_shapes(layers: Sequence[Layer]) -> dict[str, Shape]:
    """The shapes of all parameters by state-dict key, in the order of the layers."""
    return {name: shape for layer in layers for name, shape in layer.tensors().items()}


def parameters(layers: Sequence[Layer]) -> int:
    """The number of trainable parameters, weights and biases."""
    return sum(prod(shape) for name, shape in tensor_shapes(layers).items() if not name.endswith(_STATISTICS))


def forward_flops(layers: Sequence[Layer]) -> int:
    """Floating-point operations to take one image through the network: two a weight and place it is used at."""
    return sum(_flops(layer) for layer in layers)


def training_flops(layers: Sequence[Layer]) -> int:
    """Floating-point operations to learn from one image: forward, and as many again for each of the two gradients.

    The first layer needs none for its input. Biases, norms, pools and the optimizer are left out, as is custom.
    """
    first = next(layer for layer in layers if layer.kind != "maxpool")
    return 3 * forward_flops(layers) - _flops(first)


def _flops(layer: Layer) -> int:
    if layer.kind in ("maxpool", "norm"):
        return 0
    return 2 * prod(layer.tensors()[f"{layer.role}.weight"]) * prod(layer.outputs[1:])


def identity_faults(layers: Sequence[Layer], fresh: Sequence[str]) -> list[str]:
    """Fresh layers that can't pass their input on: one sentence each.

    A layer can if it has as many outputs as inputs and these are never negative, as after a ReLU: its own ReLU would
    cut negative ones off.
    """
    chain = [layer for layer in layers if layer.kind not in ("maxpool", "norm")]
    remedy = "make it so, or take growth: random"
    faults = []
    for i, layer in enumerate(chain):
        if layer.role not in fresh or layer.kind == "head":
            continue
        inputs, outputs = (shape[0] if layer.kind == "conv" else prod(shape) for shape in (layer.inputs, layer.outputs))
        if inputs != outputs:
            faults.append(
                f"{layer.role} has {inputs} inputs and {outputs} outputs, growth: identity needs as many; {remedy}"
            )
        elif i == 0:
            faults.append(f"{layer.role} is the first layer, growth: identity needs a ReLU before it; {remedy}")
    return faults
