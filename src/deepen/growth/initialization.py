"""Initialization of new layers: He normal, identity, or a copy of the layer before."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from deepen.config.settings import Growth, Settings
from deepen.core.errors import InputError
from deepen.core.names import SCRATCH
from deepen.core.seeding import make_numpy_generator
from deepen.growth.identity import find_identity_faults
from deepen.growth.ladder import Plans, build_role_mapping
from deepen.growth.transfer import transfer
from deepen.growth.whitening import compute_whitening
from deepen.models.layers import BATCH_NORM_EPSILON, WHITEN, Layer, Shape, list_tensor_shapes
from deepen.models.tensors import State
from deepen.records.transfer_report import TransferReport

Weights = NDArray[np.float32]


def initialize_model(
    settings: Settings, name: str, plans: Plans, source: Mapping[str, Weights], random: Mapping[str, Weights]
) -> tuple[State, TransferReport]:
    """Return the initial state of a model: weights of `source`, and new layers by `growth` or from `random`.

    New layers of a model after scratch are always from `random`. Raises InputError if the transfer is not total.
    """
    shapes = {key: tensor.shape for key, tensor in source.items()}
    mapping = build_role_mapping(settings.models[name], shapes, list_tensor_shapes(plans[name]))
    state, report = transfer(source, random, mapping)
    growth = "random" if settings.models[name].after == SCRATCH else settings.growth
    state, starts = grow(state, plans[name], mapping.fresh, growth)
    return state, report.with_starts({role: "whitening" if role == WHITEN else start for role, start in starts.items()})


def draw_fresh_weights(
    layers: Sequence[Layer], patch_covariance: Sequence[Sequence[float]], *, seed: int, model: str
) -> State:
    """Return initial weights for all layers: random ones, and those that whiten patches in the whitening layer."""
    return draw_he_weights(layers, seed=seed, model=model) | compute_whitening(layers, patch_covariance)


def draw_he_weights(layers: Sequence[Layer], *, seed: int, model: str) -> State:
    """Return a random state dict: He normal weights by fan-in (arXiv 1502.01852), zero biases, identity norms.

    Each tensor has its own generator, so that adding a layer does not change the others.
    """
    state: State = {}
    for layer in layers:
        for key, shape in layer.tensors().items():
            if layer.kind != "norm" and key.endswith(".weight"):
                state[key] = _he_normal(shape, make_numpy_generator(seed, model, "start", key))
            else:
                one = layer.kind == "norm" and key.endswith((".weight", ".running_var"))
                state[key] = np.full(shape, float(one), np.float32)
    return state


def _he_normal(shape: Shape, generator: np.random.Generator) -> Weights:
    """Draw normal numbers of variance 2 / fan-in for weights (outputs, inputs, ...)."""
    scale = math.sqrt(2 / math.prod(shape[1:]))
    return generator.standard_normal(shape, np.float32) * np.float32(scale)


def grow(
    state: Mapping[str, Weights], layers: Sequence[Layer], fresh: Sequence[str], growth: Growth
) -> tuple[State, dict[str, str]]:
    """Initialize the layers in `fresh` by `growth`; other layers and the argument are unchanged.

    - `identity`: the layer returns its input, so that the deep network computes the same as the shallow one.
    - `copy`: the weights of the layer before it if the shapes are equal; else random.
    - `random`: the He normal values of `state`. The head is always random.

    Returns the new state dict and the initialization of each fresh role. Raises InputError if identity is impossible.
    """
    if growth == "identity" and (faults := find_identity_faults(layers, fresh)):
        raise InputError(faults)
    grown, starts = dict(state), choose_starts(layers, fresh, growth)
    latest: dict[str, Layer] = {}  # by kind
    for layer in layers:
        before, latest[layer.kind] = latest.get(layer.kind), layer
        start = starts.get(layer.role, "random")
        if start == "identity":
            grown |= _make_identity_norm(layer, before, grown, fresh) if layer.kind == "norm" else _make_identity(layer)
        elif start != "random" and before is not None:
            grown |= {key: grown[key.replace(layer.role, before.role)].copy() for key in layer.tensors()}
    return grown, starts


def choose_starts(layers: Sequence[Layer], fresh: Sequence[str], growth: Growth) -> dict[str, str]:
    """Return how each role in `fresh` starts: identity, random, or for example "copy of conv3_1"; see `grow`."""
    starts = dict.fromkeys(fresh, "random")
    latest: dict[str, Layer] = {}  # by kind
    for layer in layers:
        before, latest[layer.kind] = latest.get(layer.kind), layer
        if layer.role not in fresh or layer.kind == "head" or growth == "random":
            continue
        if growth == "identity":
            starts[layer.role] = "identity"
        elif before is not None and list(before.tensors().values()) == list(layer.tensors().values()):
            starts[layer.role] = f"copy of {before.role}"
    return starts


def _make_identity(layer: Layer) -> State:
    """Return weights of a layer that returns its input: ones from each channel to itself, centred in the kernel."""
    tensors = {key: np.zeros(shape, np.float32) for key, shape in layer.tensors().items()}
    weight, middle = tensors[f"{layer.role}.weight"], layer.kernel // 2
    channels = np.arange(len(weight))
    weight[(channels, channels, middle, middle) if layer.kind == "conv" else (channels, channels)] = 1
    return tensors


def _make_identity_norm(
    layer: Layer, before: Layer | None, state: Mapping[str, Weights], fresh: Sequence[str]
) -> State:
    """Return a batch norm that approximates the identity.

    Training subtracts the batch's mean and divides by its standard deviation, so scale and shift must undo that. The
    expected moments are those of the ReLU of normal numbers, with the bias of the norm before as mean and its weight as
    standard deviation. After a fresh norm, the same moments are used again.
    """
    if before is None or before.outputs[0] != layer.outputs[0]:
        mean, variance = np.zeros(layer.outputs[0], np.float32), np.ones(layer.outputs[0], np.float32)
    elif before.role in fresh:
        mean, variance = (state[f"{before.role}.{name}"] for name in ("running_mean", "running_var"))
    else:
        mean, variance = _relu_moments(state[f"{before.role}.bias"], state[f"{before.role}.weight"])
    tensors = {"weight": np.sqrt(variance + BATCH_NORM_EPSILON), "bias": mean}
    tensors |= {"running_mean": mean, "running_var": variance}
    return {f"{layer.role}.{name}": array.copy() for name, array in tensors.items()}


def _relu_moments(bias: Weights, weight: Weights) -> tuple[Weights, Weights]:
    """Return mean and variance of ReLU(x), x normal with mean `bias` and standard deviation |`weight`|, by channel."""
    mean, scale = bias.astype(np.float64), np.maximum(np.abs(weight.astype(np.float64)), 1e-3)
    ratio = mean / scale
    positive = np.array([math.erfc(-each / math.sqrt(2)) / 2 for each in ratio])  # the probability of a positive number
    density = np.exp(-(ratio**2) / 2) / math.sqrt(2 * math.pi)
    rectified = mean * positive + scale * density
    square = (mean**2 + scale**2) * positive + mean * scale * density
    return rectified.astype(np.float32), np.maximum(square - rectified**2, 1e-6).astype(np.float32)
