"""Weights files: safetensors with the model card in the metadata; read and written without PyTorch."""

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
from deepen.core.counts import pluralize
from deepen.core.dvc_cache import suggest_repair
from deepen.core.errors import InputError, quote, trim
from deepen.core.files import write_atomically
from deepen.core.names import MODEL_NAME, find_class_name_faults
from deepen.core.regular_files import require_regular
from deepen.core.wording import describe_cause
from deepen.models.layers import Layer, Norm, freeze, list_tensor_shapes, plan
from deepen.models.tensors import State, compute_tensors_checksum, find_tensor_faults, to_arrays

if TYPE_CHECKING:
    from torch import Tensor

_CHECKSUM = "sha256"
_KEY = "deepen"  # a single key: safetensors writes several in random order, and equal weights must give equal files
VERSION = 2  # 1 had no checksum
MOST_VALUES = 1 << 27  # of an image or a layer's output; 512 MiB as float32
_MOST_HEADER = 1 << 24  # bytes; enough for tens of thousands of class names

Side = Annotated[int, Field(ge=1, le=65_536)]


class ModelCard(BaseModel):
    """Describe the network of a weights file: everything needed to use it.

    Attributes
    ----------
    version : int
        Version of the file format.
    model : str
        The name in params.yaml.
    layers : str
        The layers in notation.
    norm : {"none", "batch"}
        What follows each convolution.
    width : float
        Factor on the counts of channels and units.
    image : tuple (channels, height, width)
        Input shape of the network.
    stored : tuple (height, width) or None
        Size that images are resized and centre-cropped to before a view is taken; None: `image`.
    classes : tuple of str
        In the order of the logits.
    mean : tuple of float
        To subtract from each channel on the 0-1 scale.
    flip : bool
        Whether a mirrored image keeps its class.
    grown_from : str or None
        The checksum of the weights that the network grew from.
    frozen : tuple of str or None
        Roles whose weights training keeps; only in a file that training starts from.
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
                f"mean has {pluralize(len(self.mean), 'number')}, images have {pluralize(self.image[0], 'channel')}"
            )
        if self.stored and (self.stored[0] < self.image[1] or self.stored[1] < self.image[2]):
            raise ValueError(f"stored images, {self.stored[0]}x{self.stored[1]}, are smaller than the network's input")
        if faults := find_class_name_faults(self.classes):
            raise ValueError(faults[0])
        return self

    @property
    def prepared(self) -> tuple[int, int, int]:
        """Return the shape (channels, height, width) of prepared images, before a view is taken."""
        return (self.image[0], *self.stored) if self.stored else self.image

    def plan(self) -> tuple[Layer, ...]:
        """Lay out the layers; raises InputError if they are invalid, or an image needs too much memory."""
        laid_out = plan(self.layers, width=self.width, image=self.image, classes=len(self.classes), norm=self.norm)
        values = {"the images": prod(self.prepared)} | {layer.role: prod(layer.outputs) for layer in laid_out}
        where = max(values, key=lambda name: values[name])
        if values[where] > MOST_VALUES:
            image = "x".join(map(str, self.prepared))
            raise InputError(
                f"image: {image} gives {values[where]:,} values for one image in {where}, more than {MOST_VALUES:,}; "
                "use smaller images or fewer channels"
            )
        return freeze(laid_out, self.frozen or ())


def save_weights(path: Path, state: "Mapping[str, NDArray[Any] | Tensor]", card: ModelCard) -> str:
    """Write a state dict; equal tensors and cards give equal bytes. Returns the checksum of the two."""
    tensors = {key: np.asarray(array, order="C") for key, array in to_arrays(state).items()}
    text = card.model_dump_json(exclude_none=True)
    digest = compute_tensors_checksum(text, tensors)
    metadata = json.dumps({**json.loads(text), _CHECKSUM: digest}, separators=(",", ":"))
    with write_atomically(path) as temporary:
        save_file(tensors, temporary, metadata={_KEY: metadata})
    return digest


def load_weights(path: Path) -> tuple[ModelCard, State]:
    """Read the card and the tensors of a network, as NumPy arrays.

    The file can't execute code, and everything in it is validated. Raises InputError if it is not a safetensors file,
    if its metadata is invalid, and with every fault of tensors that do not match the metadata; ChecksumMismatch if its
    content has changed.
    """
    text, state = _read(path)
    try:
        content, expected_checksum = _split_checksum(text)
        card = ModelCard.model_validate_json(content)
        expected = list_tensor_shapes(card.plan())
    except (ValidationError, InputError) as error:
        reason = f"{path}: invalid metadata of a network ({_format_reasons(error)}); {suggest_repair(path)}"
        raise InputError(reason) from error
    if (
        expected_checksum is None
        or compute_tensors_checksum(card.model_dump_json(exclude_none=True), state) != expected_checksum
    ):
        raise ChecksumMismatch(path)
    if faults := trim(find_tensor_faults(state, expected)):
        raise InputError([f"{path}: {fault}; {suggest_repair(path)}" for fault in faults])
    return card, state


def read_weights_checksum(path: Path) -> str:
    """Read the checksum in the metadata of a weights file, as `save_weights` returned it."""
    with safe_open(path, framework="numpy") as file:
        return str(json.loads(file.metadata()[_KEY])[_CHECKSUM])


def _split_checksum(text: str | None) -> tuple[str, str | None]:
    """Return the metadata of a file without its checksum, and the checksum; the caller validates both."""
    try:
        content = json.loads(text or "")
        digest = content.pop(_CHECKSUM, None)
    except (ValueError, AttributeError, TypeError, RecursionError):
        return text or "", None
    return json.dumps(content), digest


def _format_reasons(error: ValidationError | InputError) -> str:
    if isinstance(error, InputError):
        return quote(" ".join(error.faults))
    return quote(describe_cause(error))


def _read(path: Path) -> tuple[str | None, State]:
    require_regular(path, "name a weights file, for example weights/III.safetensors")
    try:
        with path.open("rb") as file:
            header = int.from_bytes(file.read(8), "little")
        if header > _MOST_HEADER:
            raise InputError(f"{path}: not a safetensors file; {suggest_repair(path)}")
        with safe_open(path, framework="numpy") as file:
            return (file.metadata() or {}).get(_KEY), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (FileNotFoundError, IsADirectoryError) as error:
        raise InputError(
            f"{quote(path)}: not a weights file ({error.strerror}); name one, for example weights/III.safetensors, "
            "or train it with dvc repro"
        ) from error
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{path}: invalid safetensors file ({describe_cause(error)}); {suggest_repair(path)}"
        ) from error
    except (TypeError, AttributeError) as error:  # raised by safetensors for dtypes that NumPy lacks
        fault = f"{path}: has tensors of an unsupported dtype, expected float32; {suggest_repair(path)}"
        raise InputError(fault) from error
