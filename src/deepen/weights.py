"""Weights files: safetensors whose metadata is all that is needed to use the network alone."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from deepen.errors import InputError
from deepen.layers import Layer, Norm, plan, tensor_shapes
from deepen.vgg import VGG, network
from deepen.writing import replacing

_KEY = "deepen"  # one key only: safetensors writes several in no fixed order, and equal weights must give equal files
VERSION = 1


class ModelCard(BaseModel):
    """What a weights file says of its network.

    `layers` is the notation, `norm` what follows convolutions, `width` multiplies the counts, `image` is (channels,
    height, width), `classes` are the names in the order of the logits, `mean` is what to subtract from each channel on
    the 0-1 scale, `flip` whether a mirrored image keeps its class, `version` that of this format.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    version: int = Field(default=VERSION, ge=VERSION, le=VERSION)
    model: str
    layers: str
    norm: Norm = "none"
    width: float = Field(gt=0)
    image: tuple[int, int, int]
    classes: tuple[str, ...] = Field(min_length=2)
    mean: tuple[float, ...]
    flip: bool

    def plan(self) -> tuple[Layer, ...]:
        """The layers of the network, laid out."""
        return plan(self.layers, width=self.width, image=self.image, classes=len(self.classes), norm=self.norm)


def save_weights(path: Path, state: Mapping[str, Tensor], card: ModelCard) -> None:
    """Write a state dict; equal tensors and cards give equal bytes."""
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in state.items()}
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata={_KEY: card.model_dump_json()})


def load_weights(path: Path) -> tuple[ModelCard, dict[str, Tensor]]:
    """Read the card and the tensors of a network, on the CPU; raises InputError where either does not fit the other."""
    card_text, state = _read(path)
    try:
        card = ModelCard.model_validate_json(card_text or "")
        expected = tensor_shapes(card.plan())
    except (ValidationError, InputError) as error:
        raise InputError(
            f"{path}: its metadata is not that of a Deepen network ({' '.join(str(error).split())})"
        ) from error
    found = {key: tuple(tensor.shape) for key, tensor in state.items()}
    if found != expected:
        wrong = sorted(key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key))
        raise InputError(f"{path}: {', '.join(wrong)} don't fit the layers in its metadata; make the file again")
    return card, state


def load_state(path: Path) -> dict[str, Tensor]:
    """The tensors alone; also those of `scratch`, which has none."""
    return _read(path)[1]


def load_network(path: Path, dropout: float = 0.0) -> tuple[ModelCard, VGG]:
    """The card and the network of a weights file, on the CPU, in evaluation mode."""
    card, state = load_weights(path)
    return card, network(card.plan(), state, dropout).eval()


def _read(path: Path) -> tuple[str | None, dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            return (file.metadata() or {}).get(_KEY), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: is no readable safetensors file ({error}); make it again with dvc repro") from error
