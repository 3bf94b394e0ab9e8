"""Where a training stands, as the header of its checkpoint says: read without PyTorch."""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open

from deepen.errors import InputError
from deepen.history import Epoch

FOLDER = "checkpoints"  # below the project, outside all that DVC removes before a stage runs
VERSION = 1
KEY = "deepen-checkpoint"


class Position(BaseModel):
    """What a checkpoint says of a training: of which model, and where in it.

    `step` counts the steps done, of `steps`; `history` has a row for each epoch done, of `epochs`; `training` is the
    key of the training it belongs to.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    version: int = VERSION
    training: str
    step: int
    steps: int
    epochs: int
    history: list[Epoch]


def describe_checkpoint(path: Path) -> Position:
    """Where the training of a checkpoint stands, by its header alone; raises InputError where that is damaged."""
    return as_position(path, read_header(path)[0])


def read_header(path: Path) -> tuple[str, str]:
    """The position that a checkpoint's header has, as JSON, and the checksum of the whole; raises InputError."""
    try:
        with safe_open(path, framework="np") as file:
            found = json.loads(file.metadata()[KEY])
        return found["position"], found["sha256"]
    except (SafetensorError, OSError, TypeError, KeyError, ValueError) as error:
        raise InputError(f"{path}: is damaged ({error})") from error


def as_position(path: Path, text: str) -> Position:
    """The position that a checkpoint's JSON says; raises InputError where it says none of this version."""
    try:
        version = json.loads(text)["version"]
        if version != VERSION:
            raise InputError(f"{path}: is of format version {version}, and this is version {VERSION}")
        return Position.model_validate_json(text)
    except (ValidationError, TypeError, KeyError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: is damaged ({' '.join(str(error).split())})") from error
