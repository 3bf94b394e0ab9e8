"""Layers of a network for an image shape: roles, shapes, parameter counts, FLOPs, receptive field."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Literal

from deepen.core.errors import InputError
from deepen.models.notation import WrittenKind, find_width_fault, parse_notation

Kind = Literal["conv", "norm", "maxpool", "fc", "head"]
Norm = Literal["none", "batch"]
Shape = tuple[int, ...]

WHITEN = "whiten"  # the role of the layer that whitens the patches of an image
BATCH_NORM_EPSILON = 1e-5  # added to the variance

_STATISTICS = ("running_mean", "running_var")
_LEAST_WHITENED = 3  # pixels of a side of images: their statistics are of 3x3 patches


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
    def padding(self) -> int:
        """Pixels of zeros at each edge that keep height and width; none for an even kernel, which can't keep them."""
        return self.kernel // 2 if self.kernel % 2 else 0

    @property
    def learns(self) -> bool:
        """Whether training changes a tensor of the layer."""
        return self.kind != "maxpool" and not self.frozen

    def tensors(self) -> dict[str, Shape]:
        """Return the shapes of the layer's tensors by state-dict key, such as `conv3_2.weight`; none for a pool.

        A norm also has running statistics.
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
    """Return the layers of a network in notation, for images of shape `image` = (channels, height, width).

    `width` multiplies every channel and unit count (0.25 = a quarter of each); the head has `classes` outputs. With
    `norm` batch, `norm3_2` follows `conv3_2`.
    Raises InputError, with the layer, if the width leaves no channel, an image is too small for a layer, or a whitening
    layer has too many filters.
    """
    if fault := find_width_fault(text, width):
        raise InputError(f"width: {fault}")
    layers: list[Layer] = []
    group, index, fc, shape = 1, 0, 0, image
    for position, (kind, kernel, count) in enumerate(parse_notation(text)):
        if fault := _find_shape_fault(kind, kernel, count, shape, image):
            raise InputError(f"layer {position + 1} of {text!r}: {fault}")
        scaled = round(count * width)
        if kind == "whiten":
            layer = _make_convolution(WHITEN, shape, count, kernel, frozen=True)
        elif kind == "conv":
            index += 1
            layer = _make_convolution(f"conv{group}_{index}", shape, scaled, kernel)
        elif kind == "maxpool":
            layer = Layer("maxpool", f"pool{group}", shape, (shape[0], *(side // kernel for side in shape[1:])), kernel)
            group, index = group + 1, 0
        else:
            fc += 1
            layer = Layer("fc", f"fc{fc}", shape, (scaled,))
        layers.append(layer)
        shape = layer.outputs
        if kind == "conv" and norm == "batch":
            layers.append(Layer("norm", f"norm{group}_{index}", shape, shape))
    return (*layers, Layer("head", "head", shape, (classes,)))


def _find_shape_fault(kind: WrittenKind, kernel: int, count: int, inputs: Shape, image: Shape) -> str | None:
    """Return the fault of a layer that its inputs are too small for, or that has too many filters for them."""
    without_padding = kind == "maxpool" or kernel % 2 == 0
    least = _LEAST_WHITENED if kind == "whiten" else kernel if without_padding else 1
    if kind != "fc" and min(inputs[1:]) < least:
        return (
            f"{kind} needs at least {least}x{least} pixels, but images of {image[1]}x{image[2]} are only "
            f"{inputs[1]}x{inputs[2]} at this layer; use larger images, smaller kernels or fewer maxpool"
        )
    components = inputs[0] * kernel**2
    if kind == "whiten" and count > 2 * components:
        return (
            f"whiten{kernel}-{count} has more filters than its patches have principal components, {components}, and "
            f"their negatives; write at most whiten{kernel}-{2 * components}"
        )
    return None


def _make_convolution(role: str, inputs: Shape, channels: int, kernel: int, frozen: bool = False) -> Layer:
    layer = Layer("conv", role, inputs, inputs, kernel, frozen)
    cut = kernel - 1 - 2 * layer.padding
    return replace(layer, outputs=(channels, *(side - cut for side in inputs[1:])))


def freeze(layers: Sequence[Layer], roles: Collection[str]) -> tuple[Layer, ...]:
    """Return the layers, with these roles frozen too; raises InputError for an unknown role."""
    known = list_weight_roles(layers)
    if unknown := sorted(set(roles) - set(known)):
        raise InputError(f"frozen: unknown layer '{unknown[0]}'; use {', '.join(known)}")
    return tuple(replace(layer, frozen=layer.frozen or layer.role in roles) for layer in layers)


def list_weight_roles(layers: Sequence[Layer]) -> list[str]:
    """Return the roles of the layers that have tensors, in order."""
    return [layer.role for layer in layers if layer.kind != "maxpool"]


def list_tensor_shapes(layers: Sequence[Layer]) -> dict[str, Shape]:
    """Return the shapes of all tensors by state-dict key, in the order of the layers."""
    return {name: shape for layer in layers for name, shape in layer.tensors().items()}


def count_parameters(layers: Sequence[Layer]) -> int:
    """Return the number of parameters, without the running statistics of norms."""
    return sum(prod(shape) for name, shape in list_tensor_shapes(layers).items() if not name.endswith(_STATISTICS))


def count_forward_flops(layers: Sequence[Layer]) -> int:
    """Return the FLOPs of a forward pass of one image: two for each use of a weight."""
    return sum(_count_flops(layer) for layer in layers)


def count_training_flops(layers: Sequence[Layer]) -> int:
    """Return the FLOPs of a training step on one image: the forward pass, and as many for each of the two gradients.

    A frozen layer needs no weight gradient; a layer without a learning layer before it needs no input gradient.
    Biases, norms, pools and the optimizer are not counted, as is usual.
    """
    flops, learned = 0, False  # whether an earlier layer learns
    for layer in layers:
        flops += _count_flops(layer) * (1 + layer.learns + learned)
        learned = learned or layer.learns
    return flops


def _count_flops(layer: Layer) -> int:
    if layer.kind in ("maxpool", "norm"):
        return 0
    return 2 * prod(layer.tensors()[f"{layer.role}.weight"]) * prod(layer.outputs[1:])


def compute_receptive_field(layers: Sequence[Layer]) -> int:
    """Return the receptive field of the last convolution or pool: the side, in pixels, of a square of the image.

    A kernel of size k at stride s (in pixels of the image) adds (k - 1) s; a pool of size k multiplies s by k.
    """
    side, spacing = 1, 1
    for layer in layers:
        if layer.kind in ("conv", "maxpool"):
            side += (layer.kernel - 1) * spacing
        if layer.kind == "maxpool":
            spacing *= layer.kernel
    return side
