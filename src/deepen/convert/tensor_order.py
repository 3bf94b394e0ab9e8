"""Order the tensors of a state dict: by the file, or for sorted files by the numbers in their names."""

import re
from collections.abc import Mapping
from itertools import pairwise

from torch import Tensor

from deepen.convert.state_dicts import StateDict
from deepen.convert.torchvision_names import COUNT
from deepen.core.errors import InputError, quote

PARTS = ("weight", "bias", "running_mean", "running_var")  # of a layer, in our order


def order_tensors(state: StateDict) -> dict[str, Tensor]:
    """Return the tensors in the network's order of layers, without the counters of batch norms.

    Raises InputError if the file is sorted and the order does not follow from its names.
    """
    tensors = {key: tensor for key, tensor in state.tensors.items() if key.rpartition(".")[2] != COUNT}
    if state.ordered:
        places = {layer: place for place, layer in enumerate(dict.fromkeys(key.rpartition(".")[0] for key in tensors))}
        keys = sorted(tensors, key=lambda key: (places[key.rpartition(".")[0]], _sort_key(key)[1]))
        return {key: tensors[key] for key in keys}
    keys = sorted(tensors, key=lambda key: (_is_linear(key, tensors), _sort_key(key)))
    for one, other in pairwise(keys):
        if _is_linear(one, tensors) == _is_linear(other, tensors) and not _differ_by_number(one, other):
            raise InputError(
                f"a .safetensors file keeps no order, and the names {quote(one)} and {quote(other)} don't show it; "
                "save the state dict with torch.save, whose order is the network's"
            )
    return {key: tensors[key] for key in keys}


def _is_linear(key: str, tensors: Mapping[str, Tensor]) -> bool:
    weight = tensors.get(f"{key.rpartition('.')[0]}.weight")
    return weight is not None and weight.ndim == 2


def _sort_key(key: str) -> tuple[list[tuple[int, str]], int]:
    module, _, part = key.rpartition(".")
    words = [(int(word), "") if word.isdecimal() else (-1, word) for word in re.findall(r"[0-9]+|[^0-9]+", module)]
    return words, PARTS.index(part) if part in PARTS else len(PARTS)


def _differ_by_number(one: str, other: str) -> bool:
    """Return whether two names are of the same layer, or differ first in a number."""
    words, others = _sort_key(one)[0], _sort_key(other)[0]
    differing = next(((a, b) for a, b in zip(words, others, strict=False) if a != b), None)
    return words == others if differing is None else min(number for number, _ in differing) >= 0
