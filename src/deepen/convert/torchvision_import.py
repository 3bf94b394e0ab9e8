"""torchvision's VGG weights -> which of its networks they are, checked, and that network here."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from deepen.convert.plain_import import MOST_CLASSES, named, suggested, under_our_names
from deepen.convert.pth_check import SAVE
from deepen.convert.state_dicts import value_fault
from deepen.convert.torchvision_names import COUNT, IMAGE, LAYERS, lay_out, norm_of, tensor_names
from deepen.core.errors import InputError, plain, some
from deepen.models.layers import Layer, tensor_shapes
from deepen.models.weights import ModelCard

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of torchvision's own weights
_HEAD = "classifier.6.weight"
_OTHERWISE = "describe a network of another shape by --layers"


def recognise(state: Mapping[str, Tensor]) -> tuple[str, int]:
    """Which of torchvision's VGG networks a state dict is of, and for how many classes.

    Raises InputError with what keeps it from being the nearest: names, shapes, types, values that are not finite.
    """
    expected = {name: {*tensor_names(lay_out(name, 2)).values()} for name in LAYERS}
    keys = {key for key in state if not key.endswith(f".{COUNT}")}
    name = min(LAYERS, key=lambda name: len(expected[name] ^ keys))
    if not expected[name] & keys:
        raise InputError(_not_theirs(state))
    faults = [f"{key} is missing" for key in sorted(expected[name] - keys)]
    faults += [f"{plain(key)} is of no layer" for key in sorted(keys - expected[name])]
    classes = state[_HEAD].shape[0] if _HEAD in state and state[_HEAD].ndim == 2 else 0
    if not faults and not 2 <= classes <= MOST_CLASSES:
        faults = [f"{_HEAD} has shape {tuple(state[_HEAD].shape)}, networks have 2 to {MOST_CLASSES:,} classes"]
    faults = faults or _tensor_faults(state, lay_out(name, classes))
    if faults:
        nearest = f"as torchvision's {name}, which is nearest"
        raise InputError([f"{nearest}: {fault}; {_OTHERWISE}" for fault in some(faults)])
    return name, classes


def _not_theirs(state: Mapping[str, Tensor]) -> str:
    listed = ", ".join(map(plain, some(list(state), 3))) or "none"
    fault = f"its names are not of a VGG of torchvision's, as features.0.weight is: {listed}"
    if not state:
        return f"{fault}; {SAVE}"
    if not any(tensor.ndim == 2 for tensor in state.values()):
        return f"{fault}; it has no linear layer, so no head: import the whole network"
    words = suggested(state)
    return f"{fault}; {_OTHERWISE}" + (f", this one by '{words}' with its maxpools put in" if words else "")


def _tensor_faults(state: Mapping[str, Tensor], layers: Sequence[Layer]) -> list[str]:
    shapes, faults = tensor_shapes(layers), []
    for ours, key in tensor_names(layers).items():
        if state[key].shape != shapes[ours]:
            faults.append(f"{key} has shape {tuple(state[key].shape)}, not {shapes[ours]}")
        elif fault := value_fault(key, state[key]):
            faults.append(fault)
    return faults


def as_network(
    state: Mapping[str, Tensor], mean: Sequence[float], std: Sequence[float], classes: Sequence[str] | None = None
) -> tuple[ModelCard, dict[str, Tensor]]:
    """The network of a torchvision state dict: its card, and its tensors under our names.

    It computes of x - mean what torchvision's does of (x - mean) / std; both are one number a channel, x is on the 0-1
    scale. `classes` are names in the order of the logits. Raises InputError as `recognise` does, and where there are
    more or fewer names than classes.
    """
    name, count = recognise(state)
    names = named(classes, count)
    card = ModelCard(
        model=name,
        layers=LAYERS[name],
        norm=norm_of(name),
        width=1.0,
        image=IMAGE,
        classes=tuple(names),
        mean=tuple(mean),
        flip=True,
    )
    layers = card.plan()
    return card, under_our_names(layers, state, tensor_names(layers), std)


def normalization(
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    known: tuple[Sequence[float], Sequence[float]] | None,
    channels: int = 3,
) -> tuple[Sequence[float], Sequence[float]]:
    """The mean and std, a number a channel, that images are normalized by: as given, else as `known`.

    Raises InputError where they are neither given nor known, or not in the 0-1 scale.
    """
    if known is None and (mean is None or std is None):
        raise InputError(
            "--mean and --std: are missing; say by what the network's images are normalized, on the 0-1 scale: "
            f"--mean{' 0' * channels} --std{' 1' * channels} where by nothing"
        )
    mean, std = mean or (known or ((), ()))[0], std or (known or ((), ()))[1]
    faults = [
        f"{name}: {_numbers(values)} must be {channels} numbers, one a channel; write as many"
        for name, values in (("mean", mean), ("std", std))
        if len(values) != channels
    ]
    if not all(0 <= value <= 1 for value in mean):
        faults.append(f"mean: {_numbers(mean)} must lie between 0 and 1; divide by 255 what is for 0-255")
    if not all(0 < value <= 1 for value in std):
        faults.append(f"std: {_numbers(std)} must lie above 0 and up to 1; divide by 255 what is for 0-255")
    if faults:
        raise InputError(faults)
    return mean, std


def _numbers(values: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in values)
