"""torchvision's VGG networks in our notation, and its names of their tensors.

Names follow its layout (torchvision.models.vgg): `features` numbers every convolution, norm, ReLU and pool, and
`classifier` every linear layer, ReLU and dropout. The pooling to 7x7 in between has no effect on 7x7 features.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor

from deepen.core.errors import InputError, trim
from deepen.core.names import find_class_name_faults
from deepen.models.layers import Layer, Norm, Shape, list_tensor_shapes, plan

_CONVOLUTIONS = {  # arXiv 1409.1556, table 1: columns A, B, D, E
    "vgg11": ("64", "128", "256*2", "512*2", "512*2"),
    "vgg13": ("64*2", "128*2", "256*2", "512*2", "512*2"),
    "vgg16": ("64*2", "128*2", "256*3", "512*3", "512*3"),
    "vgg19": ("64*2", "128*2", "256*4", "512*4", "512*4"),
}
LAYERS = {
    f"{name}{suffix}": "".join(f"conv3-{group} maxpool " for group in groups) + "fc-4096*2"
    for suffix in ("", "_bn")
    for name, groups in _CONVOLUTIONS.items()
}
IMAGE = (3, 224, 224)
METADATA = "torchvision"  # the metadata key of an `Exported` in a safetensors file
COUNT = "num_batches_tracked"  # of a norm; used only if momentum is None


class Exported(BaseModel):
    """Metadata of a network exported to torchvision, which needs (x - mean) / std, with x on the 0-1 scale.

    `net` is its function in torchvision.models, `classes` are the names in the order of the logits.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    net: str
    classes: tuple[str, ...]
    mean: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(min_length=3, max_length=3)
    std: tuple[Annotated[float, Field(gt=0)], ...] = Field(min_length=3, max_length=3)

    @field_validator("classes")
    @classmethod
    def _check_class_names(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        if faults := find_class_name_faults(classes):
            raise ValueError("; ".join(trim(faults, 3)))
        return classes


def find_norm(name: str) -> Norm:
    """Return the norm of a torchvision network."""
    return "batch" if name.endswith("_bn") else "none"


def lay_out(name: str, classes: int) -> tuple[Layer, ...]:
    """Plan the layers of a torchvision network."""
    return plan(LAYERS[name], width=1, image=IMAGE, classes=classes, norm=find_norm(name))


def map_module_names(layers: Sequence[Layer]) -> dict[str, str]:
    """Map roles to torchvision's names: conv3_2 -> features.12."""
    after_conv = 1 if any(layer.kind == "norm" for layer in layers) else 2  # else a ReLU is in between
    steps = {"conv": after_conv, "norm": 2, "maxpool": 1}
    names, feature, classifier = {}, 0, 0
    for layer in layers:
        if layer.kind in steps:
            names[layer.role], feature = f"features.{feature}", feature + steps[layer.kind]
        else:
            names[layer.role], classifier = f"classifier.{classifier}", classifier + 3
    return names


def map_tensor_names(layers: Sequence[Layer]) -> dict[str, str]:
    """Map state-dict keys to torchvision's: conv3_2.weight -> features.12.weight; without counters of norms."""
    names = map_module_names(layers)
    return {
        key: f"{names[layer.role]}.{key.removeprefix(layer.role + '.')}" for layer in layers for key in layer.tensors()
    }


def find_net(layers: Sequence[Layer]) -> str:
    """Return the torchvision network with these layers; raises InputError with differences to the nearest."""
    ours = _shapes(layers)
    theirs = {name: _shapes(lay_out(name, layers[-1].outputs[0])) for name in LAYERS}
    nearest = max(LAYERS, key=lambda name: len(ours.items() & theirs[name].items()))
    differences = [
        f"{key} {_describe_shape(ours.get(key))}, in {nearest} it {_describe_shape(theirs[nearest].get(key))}"
        for key in dict.fromkeys([*ours, *theirs[nearest]])
        if ours.get(key) != theirs[nearest].get(key)
    ]
    if differences:
        listed = "; ".join(trim(differences, 3))
        raise InputError(
            f"it is not a torchvision VGG network for images of 3x224x224: {listed}; --to onnx supports any network"
        )
    return nearest


def _shapes(layers: Sequence[Layer]) -> dict[str, Shape]:
    """Return the shapes of all tensors by key, and the shape of the window of each pool by its role."""
    pools = {layer.role: (layer.kernel, layer.kernel) for layer in layers if layer.kind == "maxpool"}
    return list_tensor_shapes(layers) | pools


def _describe_shape(shape: Shape | None) -> str:
    return "is missing" if shape is None else f"is {'x'.join(map(str, shape))}"


def to_torchvision(layers: Sequence[Layer], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state dict under torchvision's names, with the counters of its norms, for strict loading."""
    names = map_module_names(layers)
    counts = {f"{names[layer.role]}.{COUNT}": torch.tensor(0) for layer in layers if layer.kind == "norm"}
    return {theirs: state[ours] for ours, theirs in map_tensor_names(layers).items()} | counts
