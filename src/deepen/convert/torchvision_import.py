"""Import torchvision's VGG weights: recognise the network, validate it and convert it."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from deepen.convert.plain_import import MOST_CLASSES, choose_class_names, convert_tensors, suggest_notation
from deepen.convert.pth_check import SAVE
from deepen.convert.state_dicts import value_fault
from deepen.convert.torchvision_names import COUNT, IMAGE, LAYERS, find_norm, lay_out, map_tensor_names
from deepen.core.errors import InputError, quote, trim
from deepen.models.layers import Layer, list_tensor_shapes
from deepen.models.weights import ModelCard

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of torchvision's own weights
_HEAD = "classifier.6.weight"
_ALTERNATIVE = "use --layers for another network"


def recognise(state: Mapping[str, Tensor]) -> tuple[str, int]:
    """Return which torchvision VGG network a state dict belongs to, and its number of classes.

    Raises InputError with the differences to the nearest one: names, shapes, types, NaN or infinite values.
    """
    expected = {name: {*map_tensor_names(lay_out(name, 2)).values()} for name in LAYERS}
    keys = {key for key in state if not key.endswith(f".{COUNT}")}
    name = min(LAYERS, key=lambda name: len(expected[name] ^ keys))
    if not expected[name] & keys:
        raise InputError(_describe_unknown_names(state))
    faults = [f"{key} is missing" for key in sorted(expected[name] - keys)]
    faults += [f"{quote(key)} is an unexpected key" for key in sorted(keys - expected[name])]
    classes = state[_HEAD].shape[0] if _HEAD in state and state[_HEAD].ndim == 2 else 0
    if not faults and not 2 <= classes <= MOST_CLASSES:
        faults = [f"{_HEAD} has shape {tuple(state[_HEAD].shape)}, expected 2 to {MOST_CLASSES:,} classes"]
    faults = faults or _tensor_faults(state, lay_out(name, classes))
    if faults:
        nearest = f"as torchvision's {name}, which is nearest"
        raise InputError([f"{nearest}: {fault}; {_ALTERNATIVE}" for fault in trim(faults)])
    return name, classes


def _describe_unknown_names(state: Mapping[str, Tensor]) -> str:
    listed = ", ".join(map(quote, trim(list(state), 3))) or "none"
    fault = f"its names are not those of a torchvision VGG, such as features.0.weight: {listed}"
    if not state:
        return f"{fault}; {SAVE}"
    if not any(tensor.ndim == 2 for tensor in state.values()):
        return f"{fault}; it has no linear layer, so the head is missing: import the whole network"
    words = suggest_notation(state)
    return f"{fault}; {_ALTERNATIVE}" + (f", for example '{words}' with its maxpools added" if words else "")


def _tensor_faults(state: Mapping[str, Tensor], layers: Sequence[Layer]) -> list[str]:
    shapes, faults = list_tensor_shapes(layers), []
    for ours, key in map_tensor_names(layers).items():
        if state[key].shape != shapes[ours]:
            faults.append(f"{key} has shape {tuple(state[key].shape)}, not {shapes[ours]}")
        elif fault := value_fault(key, state[key]):
            faults.append(fault)
    return faults


def as_network(
    state: Mapping[str, Tensor], mean: Sequence[float], std: Sequence[float], classes: Sequence[str] | None = None
) -> tuple[ModelCard, dict[str, Tensor]]:
    """Convert a torchvision state dict; return the card and the tensors under our names.

    For x - mean it computes what torchvision's network does for (x - mean) / std; both are one number a channel, on the
    0-1 scale. `classes` are names in the order of the logits. Raises InputError as `recognise` does, and if the number
    of names differs from the number of classes.
    """
    name, count = recognise(state)
    names = choose_class_names(classes, count)
    card = ModelCard(
        model=name,
        layers=LAYERS[name],
        norm=find_norm(name),
        width=1.0,
        image=IMAGE,
        classes=tuple(names),
        mean=tuple(mean),
        flip=True,
    )
    layers = card.plan()
    return card, convert_tensors(layers, state, map_tensor_names(layers), std)


def normalization(
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    known: tuple[Sequence[float], Sequence[float]] | None,
    channels: int = 3,
) -> tuple[Sequence[float], Sequence[float]]:
    """Return the mean and std for normalization, one number a channel, as given or else `known`.

    Raises InputError if they are neither given nor known, or not on the 0-1 scale.
    """
    if known is None and (mean is None or std is None):
        raise InputError(
            "--mean and --std: are missing; give the normalization of the network's images, on the 0-1 scale; "
            f"without normalization: --mean{' 0' * channels} --std{' 1' * channels}"
        )
    mean, std = mean or (known or ((), ()))[0], std or (known or ((), ()))[1]
    faults = [
        f"{name}: {_format_numbers(values)} must be {channels} numbers, one for each channel"
        for name, values in (("mean", mean), ("std", std))
        if len(values) != channels
    ]
    if not all(0 <= value <= 1 for value in mean):
        faults.append(f"mean: {_format_numbers(mean)} must lie between 0 and 1; divide values for 0-255 by 255")
    if not all(0 < value <= 1 for value in std):
        faults.append(f"std: {_format_numbers(std)} must lie above 0 and up to 1; divide values for 0-255 by 255")
    if faults:
        raise InputError(faults)
    return mean, std


def _format_numbers(values: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in values)
