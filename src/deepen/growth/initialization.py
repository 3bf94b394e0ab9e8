"""What the layers of a deeper network start as where no shallower one has them."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from deepen.config.settings import Growth, Settings
from deepen.core.errors import InputError
from deepen.core.names import SCRATCH
from deepen.core.seeding import numpy_generator
from deepen.growth.ladder import Plans, role_mapping
from deepen.growth.transfer import transfer
from deepen.models.layers import BATCH_NORM_EPSILON, Layer, Shape, identity_faults, tensor_shapes
from deepen.models.tensors import State
from deepen.records.transfer_report import TransferReport

Weights = NDArray[np.float32]


def start(
    settings: Settings, name: str, plans: Plans, source: Mapping[str, Weights], random: Mapping[str, Weights]
) -> tuple[State, TransferReport]:
    """What a model starts as: the weights in `source`, the rest as `growth` says, or as in `random`.

    What a model after scratch does not take from `source`, it always starts as in `random`. Raises InputError where the
    transfer is not total.
    """
    shapes = {key: tensor.shape for key, tensor in source.items()}
    mapping = role_mapping(settings.models[name], shapes, tensor_shapes(plans[name]))
    state, report = transfer(source, random, mapping)
    growth = "random" if settings.models[name].after == SCRATCH else settings.growth
    state, starts = grow(state, plans[name], mapping.fresh, growth)
    return state, report.with_starts(starts)


def he_start(layers: Sequence[Layer], *, seed: int, model: str) -> State:
    """A state dict in which layers start random: He normal by fan-in (arXiv 1502.01852), norms that do nothing.

    Biases are zero. Each tensor draws from a generator of its own, so that adding a layer leaves the start of
    the others alone.
    """
    state: State = {}
    for layer in layers:
        for key, shape in layer.tensors().items():
            if layer.kind != "norm" and key.endswith(".weight"):
                state[key] = _he_normal(shape, numpy_generator(seed, model, "start", key))
            else:
                one = layer.kind == "norm" and key.endswith((".weight", ".running_var"))
                state[key] = np.full(shape, float(one), np.float32)
    return state


def _he_normal(shape: Shape, generator: np.random.Generator) -> Weights:
    """Normal numbers of variance 2 / fan-in, for weights (outputs, inputs, ...)."""
    scale = math.sqrt(2 / math.prod(shape[1:]))
    return generator.standard_normal(shape, np.float32) * np.float32(scale)


def grow(
    state: Mapping[str, Weights], layers: Sequence[Layer], fresh: Sequence[str], growth: Growth
) -> tuple[State, dict[str, str]]:
    """Start the layers named in `fresh` as `growth` says; the others, and the argument, stay as they are.

    - `identity`: the layer passes its input on, so that the deep network computes what the shallow one did.
    - `copy`: the weights of the layer before it, where the two have the same shape; else random.
    - `random`: as `state` has it, which is He normal. The head always starts so.

    Returns the new state dict and, for each fresh role, how it starts. Raises InputError where identity can't be.
    """
    grown, starts = dict(state), dict.fromkeys(fresh, "random")
    if growth == "identity" and (faults := identity_faults(layers, fresh)):
        raise InputError(faults)
    latest: dict[str, Layer] = {}  # by kind
    for layer in layers:
        before, latest[layer.kind] = latest.get(layer.kind), layer
        if layer.role not in fresh or layer.kind == "head" or growth == "random":
            continue
        if growth == "identity":
            grown |= _identity_norm(layer, before, grown, fresh) if layer.kind == "norm" else _identity(layer)
            starts[layer.role] = "identity"
        elif before is not None and list(before.tensors().values()) == list(layer.tensors().values()):
            grown |= {key: grown[key.replace(layer.role, before.role)].copy() for key in layer.tensors()}
            starts[layer.role] = f"copy of {before.role}"
    return grown, starts


def _identity(layer: Layer) -> State:
    """Weights that pass an input on: ones from each channel to itself, at the middle of a kernel."""
    tensors = {key: np.zeros(shape, np.float32) for key, shape in layer.tensors().items()}
    weight, middle = tensors[f"{layer.role}.weight"], layer.kernel // 2
    channels = np.arange(len(weight))
    weight[(channels, channels, middle, middle) if layer.kind == "conv" else (channels, channels)] = 1
    return tensors


def _identity_norm(layer: Layer, before: Layer | None, state: Mapping[str, Weights], fresh: Sequence[str]) -> State:
    """A norm that gives back what it takes off.

    Training takes off a batch's own mean and variance, so these should be what it expects: those of the ReLU of normal
    numbers whose mean and standard deviation are the bias and weight of the norm before. What that one passes on as it
    is, this one does too.
    """
    if before is None or before.outputs[0] != layer.outputs[0]:
        mean, variance = np.zeros(layer.outputs[0], np.float32), np.ones(layer.outputs[0], np.float32)
    elif before.role in fresh:
        mean, variance = (state[f"{before.role}.{name}"] for name in ("running_mean", "running_var"))
    else:
        mean, variance = _rectified(state[f"{before.role}.bias"], state[f"{before.role}.weight"])
    found = {"weight": np.sqrt(variance + BATCH_NORM_EPSILON), "bias": mean}
    found |= {"running_mean": mean, "running_var": variance}
    return {f"{layer.role}.{name}": array.copy() for name, array in found.items()}


def _rectified(bias: Weights, weight: Weights) -> tuple[Weights, Weights]:
    """Mean and variance of the ReLU of normal numbers of mean `bias` and standard deviation |`weight`|, by channel."""
    mean, scale = bias.astype(np.float64), np.maximum(np.abs(weight.astype(np.float64)), 1e-3)
    ratio = mean / scale
    positive = np.array([math.erfc(-each / math.sqrt(2)) / 2 for each in ratio])  # how probable a positive number is
    density = np.exp(-(ratio**2) / 2) / math.sqrt(2 * math.pi)
    rectified = mean * positive + scale * density
    square = (mean**2 + scale**2) * positive + mean * scale * density
    return rectified.astype(np.float32), np.maximum(square - rectified**2, 1e-6).astype(np.float32)
