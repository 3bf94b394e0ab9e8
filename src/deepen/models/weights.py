"""Weights files: safetensors whose metadata is all that is needed to use the network alone; read without PyTorch."""

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from deepen.core.checksums import ChecksumMismatch
from deepen.core.counts import counted
from deepen.core.dvc_cache import how_to_repair
from deepen.core.errors import InputError, plain, some
from deepen.core.files import replacing
from deepen.core.names import MODEL_NAME, class_name_faults
from deepen.models.layers import Layer, Norm, Shape, freeze, plan, tensor_shapes
from deepen.models.tensors import State, as_arrays, tensors_checksum

if TYPE_CHECKING:
    from torch import Tensor

_CHECKSUM = "sha256"
_KEY = "deepen"  # one key only: safetensors writes several in no fixed order, and equal weights must give equal files
VERSION = 2  # 1 had no checksum
MOST_VALUES = 1 << 27  # of an image or what a layer makes of it; 512 MiB as float32
_MOST_HEADER = 1 << 24  # bytes; the largest that is honest has tens of thousands of class names

Side = Annotated[int, Field(ge=1, le=65_536)]


class ModelCard(BaseModel):
    """Describe the network of a weights file: all that is needed to use it.

    Attributes
    ----------
    version : int
        Of this format.
    model : str
        The name in params.yaml.
    layers : str
        The layers in notation.
    norm : {"none", "batch"}
        What follows each convolution.
    width : float
        Multiplies the counts of channels and units.
    image : tuple (channels, height, width)
        What the network takes.
    stored : tuple (height, width) or None
        What images are resized and centre-cropped to before the network takes its view of them; None: `image`.
    classes : tuple of str
        In the order of the logits.
    mean : tuple of float
        To subtract from each channel on the 0-1 scale.
    flip : bool
        Whether a mirrored image keeps its class.
    grown_from : str or None
        The checksum of the weights that the network grew from.
    frozen : tuple of str or None
        Roles that keep their weights in training, in a file that a training starts from.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    version: int = Field(default=VERSION, ge=VERSION, le=VERSION)
    model: str = Field(pattern=f"^{MODEL_NAME}$")
    layers: str = Field(max_length=10_000)
    norm: Norm = "none"
    width: float = Field(gt=0, le=64)
    image: tuple[Side, Side, Side]
    stored: tuple[Side, Side] | None = None
    classes: tuple[str, ...] = Field(min_length=2, max_length=1_000_000)
    mean: tuple[Annotated[float, Field(ge=0, le=1)], ...]
    flip: bool
    grown_from: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    frozen: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _must_agree(self) -> Self:
        if len(self.mean) != self.image[0]:
            raise ValueError(
                f"mean has {counted(len(self.mean), 'number')}, images have {counted(self.image[0], 'channel')}"
            )
        if self.stored and (self.stored[0] < self.image[1] or self.stored[1] < self.image[2]):
            raise ValueError(f"stored images, {self.stored[0]}x{self.stored[1]}, are less than the network takes")
        if faults := class_name_faults(self.classes):
            raise ValueError(faults[0])
        return self

    @property
    def prepared(self) -> tuple[int, int, int]:
        """Return the shape (channels, height, width) that images are brought to before the network takes its view."""
        return (self.image[0], *self.stored) if self.stored else self.image

    def plan(self) -> tuple[Layer, ...]:
        """Lay out the layers; raises InputError where they are invalid, or an image takes too much memory."""
        laid_out = plan(self.layers, width=self.width, image=self.image, classes=len(self.classes), norm=self.norm)
        values = {"the images": prod(self.prepared)} | {layer.role: prod(layer.outputs) for layer in laid_out}
        where = max(values, key=lambda name: values[name])
        if values[where] > MOST_VALUES:
            image = "x".join(map(str, self.prepared))
            raise InputError(
                f"image: {image} makes {values[where]:,} numbers of one image in {where}, at most {MOST_VALUES:,} are "
                "taken; take smaller images or fewer channels"
            )
        return freeze(laid_out, self.frozen or ())


def save_weights(path: Path, state: "Mapping[str, NDArray[Any] | Tensor]", card: ModelCard) -> str:
    """Write a state dict; equal tensors and cards give equal bytes. Returns the checksum of the two."""
    tensors = {key: np.asarray(array, order="C") for key, array in as_arrays(state).items()}
    text = card.model_dump_json(exclude_none=True)
    found = tensors_checksum(text, tensors)
    told = json.dumps({**json.loads(text), _CHECKSUM: found}, separators=(",", ":"))
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata={_KEY: told})
    return found


def load_weights(path: Path) -> tuple[ModelCard, State]:
    """Read the card and the tensors of a network, as NumPy arrays.

    Nothing in the file is run, and nothing is believed: raises InputError where it is no safetensors file, where its
    metadata is not that of a network, and with every fault of its tensors where they are not those of that network;
    and ChecksumMismatch where it is not what was written.
    """
    text, state = _read(path)
    try:
        content, expected_checksum = _parted(text)
        card = ModelCard.model_validate_json(content)
        expected = tensor_shapes(card.plan())
    except (ValidationError, InputError) as error:
        reason = f"{path}: its metadata is not that of a Deepen network ({_reasons(error)}); {how_to_repair(path)}"
        raise InputError(reason) from error
    if (
        expected_checksum is None
        or tensors_checksum(card.model_dump_json(exclude_none=True), state) != expected_checksum
    ):
        raise ChecksumMismatch(path)
    if faults := some(_tensor_faults(state, expected)):
        raise InputError([f"{path}: {fault}; {how_to_repair(path)}" for fault in faults])
    return card, state


def weights_checksum(path: Path) -> str:
    """The checksum that a weights file has in its metadata, as `save_weights` returned it."""
    with safe_open(path, framework="numpy") as file:
        return str(json.loads(file.metadata()[_KEY])[_CHECKSUM])


def _parted(text: str | None) -> tuple[str, str | None]:
    """A file's metadata without its checksum, and that; what is wrong with either is for others to say."""
    try:
        content = json.loads(text or "")
        found = content.pop(_CHECKSUM, None)
    except (ValueError, AttributeError, TypeError, RecursionError):
        return text or "", None
    return json.dumps(content), found


def _reasons(error: ValidationError | InputError) -> str:
    if isinstance(error, InputError):
        return plain(" ".join(error.faults))
    found = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}".removeprefix(": ") for each in error.errors()]
    return plain(", ".join(some(found, 3)))


def _tensor_faults(state: Mapping[str, NDArray[Any]], expected: Mapping[str, Shape]) -> list[str]:
    faults = [f"tensor {key} is missing" for key in expected if key not in state]
    faults += [f"tensor {plain(key)} is of no layer in its metadata" for key in sorted(state) if key not in expected]
    for key in (key for key in expected if key in state):
        shape, dtype = state[key].shape, state[key].dtype
        if shape != expected[key]:
            faults.append(f"tensor {key} has shape {shape}, its layer in the metadata has {expected[key]}")
        elif dtype != np.float32:
            faults.append(f"tensor {key} is {dtype}, weights are float32")
        elif not np.isfinite(state[key]).all():
            faults.append(f"tensor {key} holds values that are not finite")
    return faults


def _read(path: Path) -> tuple[str | None, State]:
    try:
        with path.open("rb") as file:
            header = int.from_bytes(file.read(8), "little")
        if header > _MOST_HEADER:
            raise OSError(f"a header of {header:,} bytes, at most {_MOST_HEADER:,} are taken")
        with safe_open(path, framework="numpy") as file:
            return (file.metadata() or {}).get(_KEY), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (FileNotFoundError, IsADirectoryError) as error:
        raise InputError(
            f"{plain(path)}: not a weights file ({error.strerror}); name one, for example weights/III.safetensors, "
            "or make it with dvc repro"
        ) from error
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: is no readable safetensors file ({error}); {how_to_repair(path)}") from error
    except (TypeError, AttributeError) as error:  # what safetensors raises for types that NumPy lacks
        fault = f"{path}: has tensors of a type that is not float32 ({error}); {how_to_repair(path)}"
        raise InputError(fault) from error
