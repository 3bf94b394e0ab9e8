"""What the layers of a deeper network start as where no shallower one has them."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from deepen.errors import InputError
from deepen.ladder import Plans, role_mapping
from deepen.layers import Layer, identity_faults, tensor_shapes
from deepen.randomness import generator
from deepen.settings import SCRATCH, Growth, Settings
from deepen.transfer import transfer
from deepen.transfer_report import TransferReport
from deepen.vgg import BATCH_NORM_EPSILON

State = dict[str, Tensor]


def start(
    settings: Settings, name: str, plans: Plans, source: Mapping[str, Tensor], random: Mapping[str, Tensor]
) -> tuple[State, TransferReport]:
    """What a model starts as: the weights in `source`, the rest as `growth` says, or as in `random`.

    What a model after scratch does not take from `source`, it always starts as in `random`. Raises InputError where the
    transfer is not total.
    """
    shapes = {key: tuple(tensor.shape) for key, tensor in source.items()}
    mapping = role_mapping(settings.models[name], shapes, tensor_shapes(plans[name]))
    state, report = transfer(source, random, mapping)
    growth = "random" if settings.models[name].after == SCRATCH else settings.growth
    state, starts = grow(state, plans[name], mapping.fresh, growth)
    return state, report.with_starts(starts)


def he_start(layers: Sequence[Layer], *, seed: int, model: str) -> dict[str, Tensor]:
    """A state dict in which layers start random: He normal by fan-in (arXiv 1502.01852), norms that do nothing.

    Biases are zero. Each role draws from a generator of its own, so that adding a layer leaves the start of
    the others alone.
    """
    state: dict[str, Tensor] = {}
    for layer in layers:
        for key, shape in layer.tensors().items():
            scale = layer.kind == "norm" and key.endswith((".weight", ".running_var"))
            state[key] = torch.ones(shape) if scale else torch.zeros(shape)
            if layer.kind != "norm" and key.endswith(".weight"):
                nn.init.kaiming_normal_(
                    state[key], nonlinearity="relu", generator=generator("cpu", seed, model, "start", key)
                )
    return state


def grow(
    state: Mapping[str, Tensor], layers: Sequence[Layer], fresh: Sequence[str], growth: Growth
) -> tuple[dict[str, Tensor], dict[str, str]]:
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
            grown |= {key: grown[key.replace(layer.role, before.role)].clone() for key in layer.tensors()}
            starts[layer.role] = f"copy of {before.role}"
    return grown, starts


def _identity(layer: Layer) -> State:
    tensors = {key: torch.zeros(shape) for key, shape in layer.tensors().items()}
    weight = tensors[f"{layer.role}.weight"]
    nn.init.dirac_(weight) if layer.kind == "conv" else nn.init.eye_(weight)
    return tensors


def _identity_norm(layer: Layer, before: Layer | None, state: Mapping[str, Tensor], fresh: Sequence[str]) -> State:
    """A norm that gives back what it takes off.

    Training takes off a batch's own mean and variance, so these should be what it expects: those of the ReLU of normal
    numbers whose mean and standard deviation are the bias and weight of the norm before. What that one passes on as it
    is, this one does too.
    """
    if before is None or before.outputs[0] != layer.outputs[0]:
        mean, variance = torch.zeros(layer.outputs[0]), torch.ones(layer.outputs[0])
    elif before.role in fresh:
        mean, variance = (state[f"{before.role}.{name}"].clone() for name in ("running_mean", "running_var"))
    else:
        bias, scale = state[f"{before.role}.bias"], state[f"{before.role}.weight"].abs().clamp(min=1e-3)
        ratio = bias / scale
        positive, density = torch.special.ndtr(ratio), (-ratio.square() / 2).exp() / math.sqrt(2 * math.pi)
        mean = bias * positive + scale * density
        square = (bias.square() + scale.square()) * positive + bias * scale * density
        variance = (square - mean.square()).clamp(min=1e-6)
    found = {"weight": (variance + BATCH_NORM_EPSILON).sqrt(), "bias": mean.clone()}
    found |= {"running_mean": mean, "running_var": variance}
    return {f"{layer.role}.{name}": tensor for name, tensor in found.items()}
