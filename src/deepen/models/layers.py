"""The layers of a network laid out for images of a shape: roles, shapes, parameters, operations."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Literal

from deepen.core.errors import InputError
from deepen.models.notation import parse, width_fault

Kind = Literal["conv", "norm", "maxpool", "fc", "head"]
Norm = Literal["none", "batch"]
Shape = tuple[int, ...]

BATCH_NORM_EPSILON = 1e-5  # added to a variance before its root is taken

_STATISTICS = ("running_mean", "running_var")


@dataclass(frozen=True)
class Layer:
    """One layer of a network, named by its role: `conv3_2` is the second convolution of the third group.

    `inputs` and `outputs` are shapes of one image's activations: (channels, height, width), or (features,). A `frozen`
    layer keeps its tensors in training.
    """

    kind: Kind
    role: str
    inputs: Shape
    outputs: Shape
    kernel: int = 1
    frozen: bool = False

    @property
    def learns(self) -> bool:
        """Whether training changes any tensor of the layer."""
        return self.kind != "maxpool" and not self.frozen

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


def plan(text: str, *, width: float, image: Shape, classes: int, norm: Norm = "none") -> tuple[Layer, ...]:
    """Lay out what notation.py's `text` says for images of shape `image` = (channels, height, width).

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


def freeze(layers: Sequence[Layer], roles: Collection[str]) -> tuple[Layer, ...]:
    """The layers, of which those with these roles are frozen; raises InputError for a role that none has."""
    known = weight_roles(layers)
    if unknown := sorted(set(roles) - set(known)):
        raise InputError(f"frozen: '{unknown[0]}' is an unknown layer; name some of {', '.join(known)}")
    return tuple(replace(layer, frozen=layer.role in roles) for layer in layers)


def weight_roles(layers: Sequence[Layer]) -> list[str]:
    """The roles of the layers that have tensors, in their order."""
    return [layer.role for layer in layers if layer.kind != "maxpool"]


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

    A frozen layer needs none for its weights, and a layer before which none learns needs none for its input. Biases,
    norms, pools and the optimizer are left out, as is custom.
    """
    found, learned = 0, False  # whether a layer before learns
    for layer in layers:
        found += _flops(layer) * (1 + layer.learns + learned)
        learned = learned or layer.learns
    return found


def _flops(layer: Layer) -> int:
    if layer.kind in ("maxpool", "norm"):
        return 0
    return 2 * prod(layer.tensors()[f"{layer.role}.weight"]) * prod(layer.outputs[1:])


def receptive_field(layers: Sequence[Layer]) -> int:
    """The side, in pixels, of the square of the image that one place of the last convolution or pool sees, if inside.

    A kernel k on a grid of one in s pixels adds (k - 1) s; a pool doubles s after it.
    """
    side, spacing = 1, 1
    for layer in layers:
        if layer.kind in ("conv", "maxpool"):
            side += (layer.kernel - 1) * spacing
        if layer.kind == "maxpool":
            spacing *= 2
    return side


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
