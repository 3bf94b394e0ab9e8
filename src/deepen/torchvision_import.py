"""torchvision's VGG weights as people have them -> which of its networks they are, checked, and that network here."""

import pickle
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import safe_open
from torch import Tensor

from deepen.errors import InputError, plain, some
from deepen.images import class_name_faults
from deepen.layers import Layer, tensor_shapes
from deepen.torchvision_names import (
    COUNT,
    IMAGE,
    LAYERS,
    METADATA,
    Exported,
    from_torchvision,
    lay_out,
    norm_of,
    tensor_names,
)
from deepen.weights import ModelCard

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of torchvision's own weights
_HEAD = "classifier.6.weight"
_MOST_CLASSES = 65_536
_REMEDY = "save the network's state_dict() alone: torch.save(network.state_dict(), file)"


def read_state(path: Path) -> tuple[dict[str, Tensor], Exported | None]:
    """The tensors of a .safetensors file or of what torch.save wrote, and what `deepen export` wrote besides.

    Nothing in the file is run. Raises InputError where it can't be read or holds anything but tensors by name.
    """
    try:
        found, text = _safetensors(path) if path.suffix == ".safetensors" else (_pickled(path), None)
        exported = Exported.model_validate_json(text) if text else None
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror or error}); name a file that can be") from error
    except ValidationError as error:
        raise InputError(f"{path}: its metadata is not what deepen export writes; export it again") from error
    except pickle.UnpicklingError as error:
        reason = "is damaged, or holds pickled code beside tensors, and none of it was run"
        raise InputError(f"{path}: {reason}; {_REMEDY}") from error
    except Exception as error:  # the readers stumble over a stranger's file in any way
        reason = plain(" ".join(str(error).split()))[:200] or type(error).__name__
        raise InputError(f"{path}: is damaged ({reason}); {_REMEDY}") from error
    if not isinstance(found, Mapping):
        raise InputError(f"{path}: holds a {type(found).__name__}, not tensors by name; {_REMEDY}")
    state = {str(key): value for key, value in found.items()}
    if other := [key for key, value in state.items() if not isinstance(value, Tensor)]:
        raise InputError(f"{path}: {', '.join(map(plain, some(other, 5)))} are no tensors; {_REMEDY}")
    return state, exported


def _safetensors(path: Path) -> tuple[dict[str, Tensor], str | None]:
    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, (file.metadata() or {}).get(METADATA)  # noqa: SIM118


def _pickled(path: Path) -> Any:
    with warnings.catch_warnings(action="ignore"):  # of sparse tensors, which are refused later
        return torch.load(path, weights_only=True, map_location="cpu")


def recognise(state: Mapping[str, Tensor]) -> tuple[str, int]:
    """Which of torchvision's VGG networks a state dict is of, and for how many classes.

    Raises InputError with what keeps it from being the nearest: names, shapes, types, values that are not finite.
    """
    expected = {name: {*tensor_names(lay_out(name, 2)).values()} for name in LAYERS}
    keys = {key for key in state if not key.endswith(f".{COUNT}")}
    name = min(LAYERS, key=lambda name: len(expected[name] ^ keys))
    if not expected[name] & keys:
        listed = ", ".join(map(plain, some(list(state), 3))) or "none"
        raise InputError(f"its names are not of a VGG of torchvision's, as features.0.weight is: {listed}; {_REMEDY}")
    faults = [f"{key} is missing" for key in sorted(expected[name] - keys)]
    faults += [f"{plain(key)} is of no layer" for key in sorted(keys - expected[name])]
    classes = state[_HEAD].shape[0] if _HEAD in state and state[_HEAD].ndim == 2 else 0
    if not faults and not 2 <= classes <= _MOST_CLASSES:
        faults = [f"{_HEAD} has shape {tuple(state[_HEAD].shape)}, networks have 2 to {_MOST_CLASSES:,} classes"]
    faults = faults or _tensor_faults(state, lay_out(name, classes))
    if faults:
        raise InputError([f"as torchvision's {name}, which is nearest: {fault}" for fault in some(faults)])
    return name, classes


def _tensor_faults(state: Mapping[str, Tensor], layers: Sequence[Layer]) -> list[str]:
    shapes, faults = tensor_shapes(layers), []
    for ours, key in tensor_names(layers).items():
        tensor = state[key]
        if tensor.shape != shapes[ours]:
            faults.append(f"{key} has shape {tuple(tensor.shape)}, not {shapes[ours]}")
        elif not tensor.is_floating_point() or tensor.layout != torch.strided or tensor.is_meta:
            faults.append(f"{key} is {tensor.dtype}, {tensor.layout}, on {tensor.device}, not plain numbers")
        elif not tensor.to(torch.float32).isfinite().all():
            faults.append(f"{key} holds values that are not finite")
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
    if classes is None:
        classes = [f"class {i}" for i in range(count)]
    if len(classes) != count:
        raise InputError(f"it has {count} classes, but {len(classes)} names are given; name each once")
    if faults := class_name_faults(classes):
        raise InputError(some(faults))
    card = ModelCard(
        model=name,
        layers=LAYERS[name],
        norm=norm_of(name),
        width=1.0,
        image=IMAGE,
        classes=tuple(classes),
        mean=tuple(mean),
        flip=True,
    )
    return card, from_torchvision(card.plan(), state, std)


def normalization(
    mean: Sequence[float] | None, std: Sequence[float] | None, exported: Exported | None
) -> tuple[Sequence[float], Sequence[float]]:
    """The mean and std that images are normalized by: as given, else as its file says, else ImageNet's.

    Raises InputError where they are not in the 0-1 scale.
    """
    mean = mean or (exported.mean if exported else IMAGENET_MEAN)
    std = std or (exported.std if exported else IMAGENET_STD)
    faults = []
    if not all(0 <= value <= 1 for value in mean):
        faults.append(f"mean: {_numbers(mean)} must lie between 0 and 1; divide by 255 what is for 0-255")
    if not all(0 < value <= 1 for value in std):
        faults.append(f"std: {_numbers(std)} must lie above 0 and up to 1; divide by 255 what is for 0-255")
    if faults:
        raise InputError(faults)
    return mean, std


def _numbers(values: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in values)
