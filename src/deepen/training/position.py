"""Where a training stands, as its checkpoints say in their headers; read without PyTorch, for what only looks on."""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open

from deepen.core.errors import InputError
from deepen.records.history import Epoch

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
    return read_position(path)[0]


def read_position(path: Path) -> tuple[Position, str, str]:
    """The position that a checkpoint says, the text that says it, and the checksum of all; raises InputError."""
    text, checksum = _metadata(path)
    return _position(path, text), text, checksum


def _metadata(path: Path) -> tuple[str, str]:
    try:
        with safe_open(path, framework="numpy") as file:
            found = json.loads(file.metadata()[KEY])
        return found["position"], found["sha256"]
    except (SafetensorError, OSError, TypeError, KeyError, ValueError) as error:
        raise InputError(f"{path}: is damaged ({error})") from error


def _position(path: Path, text: str) -> Position:
    try:
        version = json.loads(text)["version"]
        if version != VERSION:
            raise InputError(f"{path}: is of format version {version}, and this is version {VERSION}")
        return Position.model_validate_json(text)
    except (ValidationError, TypeError, KeyError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: is damaged ({' '.join(str(error).split())})") from error
