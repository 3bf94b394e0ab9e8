"""What the layers of a deeper network start as where no shallower one has them."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from deepen.errors import InputError
from deepen.layers import Layer, identity_faults
from deepen.randomness import generator
from deepen.settings import Growth


def he_start(layers: Sequence[Layer], *, seed: int, model: str) -> dict[str, Tensor]:
    """A state dict in which every layer starts random: He normal by fan-in (arXiv 1502.01852), zero bias.

    Each role draws from a generator of its own, so that adding a layer leaves the start of the others alone.
    """
    state: dict[str, Tensor] = {}
    for layer in layers:
        for key, shape in layer.tensors().items():
            state[key] = torch.zeros(shape)
            if key.endswith(".weight"):
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
    chain = [layer for layer in layers if layer.kind != "maxpool"]
    if growth == "identity" and (faults := identity_faults(layers, fresh)):
        raise InputError(faults)
    for before, layer in zip([None, *chain], chain, strict=False):
        if layer.role not in fresh or layer.kind == "head" or growth == "random":
            continue
        if growth == "identity":
            grown |= _identity(layer)
            starts[layer.role] = "identity"
        elif before is not None and list(before.tensors().values()) == list(layer.tensors().values()):
            grown |= {key: grown[key.replace(layer.role, before.role)].clone() for key in layer.tensors()}
            starts[layer.role] = f"copy of {before.role}"
    return grown, starts


def _identity(layer: Layer) -> dict[str, Tensor]:
    tensors = {key: torch.zeros(shape) for key, shape in layer.tensors().items()}
    weight = tensors[f"{layer.role}.weight"]
    nn.init.dirac_(weight) if layer.kind == "conv" else nn.init.eye_(weight)
    return tensors
