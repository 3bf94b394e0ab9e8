"""Import a plain network of convolutions and linear layers, whose tensors are matched by order and shape."""

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from math import isqrt, prod

import torch
from torch import Tensor

from deepen.convert.state_dicts import StateDict, value_fault
from deepen.convert.tensor_order import PARTS, order_tensors
from deepen.core.counts import pluralize
from deepen.core.errors import InputError, quote, trim
from deepen.core.names import MODEL_NAME, find_class_name_faults
from deepen.models.layers import Layer, Norm, Shape, list_tensor_shapes, plan
from deepen.models.weights import ModelCard

MOST_CLASSES = 65_536
_SUPPORTED = "only convolutions, linear layers and batch norms are supported"
_REMEDY = "write --layers in the order in which the network applies them"


def as_plain_network(
    state: StateDict,
    layers: str,
    image: tuple[int, int, int],
    mean: Sequence[float],
    std: Sequence[float],
    classes: Sequence[str] | None = None,
    model: str = "imported",
) -> tuple[ModelCard, dict[str, Tensor], dict[str, str]]:
    """Import the network that `layers` (notation) describes, with a state dict's tensors matched by order and shape.

    Returns its card, its tensors under our names, and the file's name of each. The last linear layer is the head. For
    x - mean it computes what the file's network does for (x - mean) / std. Raises InputError with every tensor and
    every layer without a match, and if the first linear layer does not fit the image (channels, height, width).
    """
    theirs = order_tensors(state)
    if faults := [*_notation_faults(layers), *_kind_faults(theirs)]:
        raise InputError(trim(faults))
    shapes = {key: tuple(tensor.shape) for key, tensor in theirs.items()}
    norm: Norm = "batch" if any(key.endswith("running_mean") for key in theirs) else "none"
    names = choose_class_names(classes, [shape for shape in shapes.values() if len(shape) == 2][-1][0])
    laid_out = plan(layers, width=1, image=image, classes=len(names), norm=norm)
    if fault := _image_fault(laid_out, shapes, image):
        raise InputError(fault)
    matches = _match_tensors(list_tensor_shapes(laid_out), shapes)
    if faults := [fault for key, tensor in theirs.items() if (fault := value_fault(key, tensor))]:
        raise InputError(trim(faults))
    card = ModelCard(
        model=model,
        layers=layers,
        norm=norm,
        width=1.0,
        image=image,
        classes=tuple(names),
        mean=tuple(mean),
        flip=False,  # the file does not say whether mirroring keeps the class
    )
    return card, convert_tensors(card.plan(), theirs, matches, std), matches


def choose_class_names(classes: Sequence[str] | None, count: int) -> Sequence[str]:
    """Return the names of `count` classes, given or numbered; raises InputError if they are invalid."""
    if not 2 <= count <= MOST_CLASSES:
        raise InputError(
            f"its last layer has {pluralize(count, 'output')}; 2 to {MOST_CLASSES:,} classes are supported"
        )
    names = [f"class {i}" for i in range(count)] if classes is None else classes
    if len(names) != count:
        raise InputError(f"it has {pluralize(count, 'class')}, but {len(names)} names are given; name each once")
    if faults := find_class_name_faults(names):
        raise InputError(trim(faults))
    return names


def convert_tensors(
    layers: Sequence[Layer], state: Mapping[str, Tensor], names: Mapping[str, str], std: Sequence[float]
) -> dict[str, Tensor]:
    """Return the tensors by our key, float32, with the division by `std` moved into the first convolution.

    `names` has the file's key for each of ours; `std` is one number a channel, 0-1 scale. Zero padding is the same for
    (x - mean) / std and x - mean, so nothing else changes.
    """
    tensors = {ours: state[theirs].detach().to(torch.float32) for ours, theirs in names.items()}
    first = next(f"{layer.role}.weight" for layer in layers if layer.kind == "conv")
    return tensors | {first: tensors[first] / torch.tensor(std).reshape(1, -1, 1, 1)}


def model_name(text: str) -> str:
    """Convert a text, such as a file name, to a valid model name."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-_")[:32]
    return name if re.fullmatch(MODEL_NAME, name) else "imported"


def suggest_notation(state: Mapping[str, Tensor]) -> str | None:
    """Suggest the notation of a state dict's layers, without pools, which have no tensors; None if unknown."""
    weights = [tuple(tensor.shape) for key, tensor in state.items() if key.endswith("weight") and tensor.ndim in (2, 4)]
    words = [f"conv{shape[2]}-{shape[0]}" if len(shape) == 4 else f"fc-{shape[0]}" for shape in weights[:-1]]
    return " ".join(words) if words and words[0].startswith("conv") else None


def _notation_faults(layers: str) -> Iterator[str]:
    """Yield the faults of layers whose padding or weights a state dict can't be assumed to have."""
    for i, token in enumerate(layers.split()):
        match = re.fullmatch(r"(conv|whiten)([0-9]+)-([0-9]+)(?:\*[0-9]+)?", token)
        word = f'layers[{i}]: "{token[:60]}"'
        if match and match[1] == "whiten":
            yield f"{word} has weights that follow from the training images; write for example conv3-{match[3]}"
        elif match and match[2][-1] in "02468":
            yield f"{word} has an even kernel; only odd ones keep height and width, write for example conv3-{match[3]}"


def _kind_faults(theirs: Mapping[str, Tensor]) -> list[str]:
    """Return the faults of tensors that no plain network can have."""
    weights = {key.rpartition(".")[0]: tensor for key, tensor in theirs.items() if key.rpartition(".")[2] == "weight"}
    faults = [
        f"{quote(key)} is not a weight, bias or running statistic; {_SUPPORTED}"
        for key in theirs
        if key.rpartition(".")[2] not in PARTS or key.rpartition(".")[0] not in weights
    ]
    faults += [fault for module, weight in weights.items() if (fault := _layer_fault(module, weight, theirs))]
    if not faults and not [weight for weight in weights.values() if weight.ndim == 2]:
        faults.append(f"it has no linear layer, so the head is missing; import the whole network: {_REMEDY}")
    return faults


def _layer_fault(module: str, weight: Tensor, theirs: Mapping[str, Tensor]) -> str | None:
    name, shape = quote(module) or "a layer", "x".join(map(str, weight.shape))
    dot = f"{module}." if module else ""
    if weight.ndim == 4 and weight.shape[2] != weight.shape[3]:
        return f"{name} has a kernel of {weight.shape[2]}x{weight.shape[3]}; only square kernels are supported"
    if weight.ndim == 1 and f"{dot}running_mean" not in theirs:
        return f"{name} is a norm without running statistics ({shape}); batch norm is the only supported norm"
    if weight.ndim not in (1, 2, 4):
        return f"{name} has a weight of {shape}; {_SUPPORTED}"
    if f"{dot}bias" not in theirs:
        zeros = f"state[{f'{dot}bias'!a}] = torch.zeros({weight.shape[0]})"
        return f"{name} has no bias, but every layer needs one; add a zero bias: {zeros}"
    return None


def _image_fault(layers: Sequence[Layer], shapes: Mapping[str, Shape], image: Shape) -> str | None:
    """Return the fault if the first linear layer needs a different number of features than the image gives."""
    last = next(layer for layer in layers if layer.kind in ("fc", "head")).inputs
    takes, leaves = next(shape[1] for shape in shapes.values() if len(shape) == 2), prod(last)
    if takes == leaves:
        return None
    pools = [layer.kernel for layer in layers if layer.kind == "maxpool"]
    places, rest = divmod(takes, last[0])
    side = isqrt(places)
    fits = f"--image {image[0]}x{side * prod(pools)}x{side * prod(pools)} would fit"
    if rest or side * side != places:
        fits = f"no square image fits {last[0]} channels and {len(pools)} maxpool"
    return (
        f"--image {'x'.join(map(str, image))}: gives {leaves:,} features ({'x'.join(map(str, last))}) for the first "
        f"linear layer, but the file's needs {takes:,}; {fits}, or {_REMEDY}"
    )


def _match_tensors(ours: Mapping[str, Shape], theirs: Mapping[str, Shape]) -> dict[str, str]:
    """Map our keys to the file's; raises InputError unless all match in order, part and shape."""
    our_layers, their_layers = _group_by_layer(ours), _group_by_layer(theirs)
    if list(our_layers.values()) == list(their_layers.values()):
        return dict(zip(ours, theirs, strict=True))
    raise InputError(trim([f"{fault}; {_REMEDY}" for fault in _differences(our_layers, their_layers)]))


def _group_by_layer(shapes: Mapping[str, Shape]) -> dict[str, str]:
    """Describe the tensors of each layer: fc1 -> weight 16x72, bias 16."""
    layers: dict[str, list[str]] = {}
    for key, shape in shapes.items():
        layer, _, part = key.rpartition(".")
        layers.setdefault(layer, []).append(f"{part} {'x'.join(map(str, shape))}")
    return {layer: ", ".join(parts) for layer, parts in layers.items()}


def _differences(ours: Mapping[str, str], theirs: Mapping[str, str]) -> Iterator[str]:
    wanted, given = ([f"{quote(layer)} ({parts})" for layer, parts in each.items()] for each in (ours, theirs))
    matcher = SequenceMatcher(None, list(ours.values()), list(theirs.values()), autojunk=False)
    for kind, i, i_end, j, j_end in matcher.get_opcodes():
        if kind != "equal":
            both = min(i_end - i, j_end - j)
            yield from (f"the file has {given[j + n]} where the layers have {wanted[i + n]}" for n in range(both))
            yield from (f"the file has no tensors for {each}" for each in wanted[i + both : i_end])
            yield from (f"no layer matches the file's {each}" for each in given[j + both : j_end])
