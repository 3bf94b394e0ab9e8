"""Any plain network of convolutions and linear layers, under any names -> that network here, matched in order."""

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from math import isqrt, prod

import torch
from torch import Tensor

from deepen.convert.state_dicts import StateDict, value_fault
from deepen.convert.tensor_order import PARTS, in_order
from deepen.core.counts import counted
from deepen.core.errors import InputError, plain, some
from deepen.core.names import MODEL_NAME, class_name_faults
from deepen.models.layers import Layer, Norm, Shape, plan, tensor_shapes
from deepen.models.weights import ModelCard

MOST_CLASSES = 65_536
_TAKEN = "only convolutions, linear layers and batch norms are taken"
_REMEDY = "write --layers as the network is built, in the order in which images pass it"


def as_plain_network(
    state: StateDict,
    layers: str,
    image: tuple[int, int, int],
    mean: Sequence[float],
    std: Sequence[float],
    classes: Sequence[str] | None = None,
    model: str = "imported",
) -> tuple[ModelCard, dict[str, Tensor], dict[str, str]]:
    """The network that `layers` (notation) describes, with a state dict's tensors, matched in order and by shape.

    Gives its card, its tensors under our names, and the file's name of each. The last linear layer is the head. It
    computes of x - mean what the file's does of (x - mean) / std. Raises InputError with every tensor of the file that
    no layer has, and of a layer that the file has not, in that place and shape; and where the first linear layer does
    not fit the image (channels, height, width).
    """
    theirs = in_order(state)
    if faults := _kind_faults(theirs):
        raise InputError(some(faults))
    shapes = {key: tuple(tensor.shape) for key, tensor in theirs.items()}
    norm: Norm = "batch" if any(key.endswith("running_mean") for key in theirs) else "none"
    names = named(classes, [shape for shape in shapes.values() if len(shape) == 2][-1][0])
    laid_out = plan(layers, width=1, image=image, classes=len(names), norm=norm)
    if fault := _image_fault(laid_out, shapes, image):
        raise InputError(fault)
    matches = _matched(tensor_shapes(laid_out), shapes)
    if faults := [fault for key, tensor in theirs.items() if (fault := value_fault(key, tensor))]:
        raise InputError(some(faults))
    card = ModelCard(
        model=model,
        layers=layers,
        norm=norm,
        width=1.0,
        image=image,
        classes=tuple(names),
        mean=tuple(mean),
        flip=False,  # whether a mirrored image keeps its class, the file does not say
    )
    return card, under_our_names(card.plan(), theirs, matches, std), matches


def named(classes: Sequence[str] | None, count: int) -> Sequence[str]:
    """The names of so many classes: as given, or by number; raises InputError where they can't be."""
    if not 2 <= count <= MOST_CLASSES:
        raise InputError(f"its last layer has {counted(count, 'output')}, networks have 2 to {MOST_CLASSES:,} classes")
    names = [f"class {i}" for i in range(count)] if classes is None else classes
    if len(names) != count:
        raise InputError(f"it has {counted(count, 'class')}, but {len(names)} names are given; name each once")
    if faults := class_name_faults(names):
        raise InputError(some(faults))
    return names


def under_our_names(
    layers: Sequence[Layer], state: Mapping[str, Tensor], names: Mapping[str, str], std: Sequence[float]
) -> dict[str, Tensor]:
    """The tensors that `names` gives by our key, float32, for images not divided by `std`: the first convolution is.

    `std` is one number a channel, 0-1 scale. Zeros around (x - mean) / std are zeros around x - mean, so nothing else
    changes.
    """
    found = {ours: state[theirs].detach().to(torch.float32) for ours, theirs in names.items()}
    first = next(f"{layer.role}.weight" for layer in layers if layer.kind == "conv")
    return found | {first: found[first] / torch.tensor(std).reshape(1, -1, 1, 1)}


def model_name(text: str) -> str:
    """A text, such as a file's name, as the name of a model."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-_")[:32]
    return name if re.fullmatch(MODEL_NAME, name) else "imported"


def suggested(state: Mapping[str, Tensor]) -> str | None:
    """The notation of a state dict's layers in its order, but for the pools, which have no tensors; None if unknown."""
    weights = [tuple(tensor.shape) for key, tensor in state.items() if key.endswith("weight") and tensor.ndim in (2, 4)]
    words = [f"conv{shape[2]}-{shape[0]}" if len(shape) == 4 else f"fc-{shape[0]}" for shape in weights[:-1]]
    return " ".join(words) if words and words[0].startswith("conv") else None


def _kind_faults(theirs: Mapping[str, Tensor]) -> list[str]:
    """What keeps tensors from being a plain network's, whatever its layers are."""
    weights = {key.rpartition(".")[0]: tensor for key, tensor in theirs.items() if key.rpartition(".")[2] == "weight"}
    faults = [
        f"{plain(key)} is no weight, bias or running statistic; {_TAKEN}"
        for key in theirs
        if key.rpartition(".")[2] not in PARTS or key.rpartition(".")[0] not in weights
    ]
    faults += [fault for module, weight in weights.items() if (fault := _layer_fault(module, weight, theirs))]
    if not faults and not [weight for weight in weights.values() if weight.ndim == 2]:
        faults.append(f"it has no linear layer, so no head; import the whole network: {_REMEDY}")
    return faults


def _layer_fault(module: str, weight: Tensor, theirs: Mapping[str, Tensor]) -> str | None:
    name, shape = plain(module) or "a layer", "x".join(map(str, weight.shape))
    dot = f"{module}." if module else ""
    if weight.ndim == 4 and weight.shape[2] != weight.shape[3]:
        return f"{name} has a kernel of {weight.shape[2]}x{weight.shape[3]}; only square ones are taken"
    if weight.ndim == 1 and f"{dot}running_mean" not in theirs:
        return f"{name} is a norm without running statistics ({shape}); of norms only batch norms are taken"
    if weight.ndim not in (1, 2, 4):
        return f"{name} has a weight of {shape}; {_TAKEN}"
    if f"{dot}bias" not in theirs:
        zeros = f"state[{f'{dot}bias'!a}] = torch.zeros({weight.shape[0]})"
        return f"{name} has no bias, and each layer here has one; add one that changes nothing: {zeros}"
    return None


def _image_fault(layers: Sequence[Layer], shapes: Mapping[str, Shape], image: Shape) -> str | None:
    """What is wrong where the file's first linear layer takes another number of features than the image leaves."""
    last = next(layer for layer in layers if layer.kind in ("fc", "head")).inputs
    takes, leaves = next(shape[1] for shape in shapes.values() if len(shape) == 2), prod(last)
    if takes == leaves:
        return None
    pools = sum(layer.kind == "maxpool" for layer in layers)
    places, rest = divmod(takes, last[0])
    side = isqrt(places)
    fits = f"--image {image[0]}x{side << pools}x{side << pools} would fit"
    if rest or side * side != places:
        fits = f"no square image fits {last[0]} channels and {pools} maxpool"
    return (
        f"--image {'x'.join(map(str, image))}: leaves {leaves:,} features ({'x'.join(map(str, last))}) for the first "
        f"linear layer, and the file's takes {takes:,}; {fits}, or {_REMEDY}"
    )


def _matched(ours: Mapping[str, Shape], theirs: Mapping[str, Shape]) -> dict[str, str]:
    """Our key -> the file's; raises InputError unless all match in order, part and shape."""
    wanted, found = _by_layer(ours), _by_layer(theirs)
    if list(wanted.values()) == list(found.values()):
        return dict(zip(ours, theirs, strict=True))
    raise InputError(some([f"{fault}; {_REMEDY}" for fault in _differences(wanted, found)]))


def _by_layer(shapes: Mapping[str, Shape]) -> dict[str, str]:
    """The tensors of each layer: fc1 -> weight 16x72, bias 16."""
    layers: dict[str, list[str]] = {}
    for key, shape in shapes.items():
        layer, _, part = key.rpartition(".")
        layers.setdefault(layer, []).append(f"{part} {'x'.join(map(str, shape))}")
    return {layer: ", ".join(parts) for layer, parts in layers.items()}


def _differences(ours: Mapping[str, str], theirs: Mapping[str, str]) -> Iterator[str]:
    wanted, found = ([f"{plain(layer)} ({parts})" for layer, parts in each.items()] for each in (ours, theirs))
    matcher = SequenceMatcher(None, list(ours.values()), list(theirs.values()), autojunk=False)
    for kind, i, i_end, j, j_end in matcher.get_opcodes():
        if kind != "equal":
            both = min(i_end - i, j_end - j)
            yield from (f"the file has {found[j + n]} where the layers have {wanted[i + n]}" for n in range(both))
            yield from (f"the file has nothing for {each}" for each in wanted[i + both : i_end])
            yield from (f"no layer is left for the file's {each}" for each in found[j + both : j_end])
