"""The position of a training, read from the header of a checkpoint without importing PyTorch."""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open

from deepen.core.errors import InputError
from deepen.core.wording import describe_cause
from deepen.records.history import Epoch

FOLDER = "checkpoints"  # in the project, outside the outputs that DVC removes before a stage runs
VERSION = 1
KEY = "deepen-checkpoint"


class Position(BaseModel):
    """The position of a training at a checkpoint.

    `training` is the key of the training. Of `steps`, `step` are done; of `epochs`, `history` has a row for each that
    is done.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    version: int = VERSION
    training: str
    step: int
    steps: int
    epochs: int
    history: list[Epoch]


def describe_checkpoint(path: Path) -> Position:
    """Read the position of a checkpoint from its header; raises InputError if the header is damaged."""
    return read_position(path)[0]


def read_position(path: Path) -> tuple[Position, str, str]:
    """Read the position of a checkpoint, its JSON text, and the checksum of the content; raises InputError."""
    text, checksum = _read_metadata(path)
    return _parse_position(path, text), text, checksum


def _read_metadata(path: Path) -> tuple[str, str]:
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = json.loads(file.metadata()[KEY])
        return metadata["position"], metadata["sha256"]
    except (SafetensorError, OSError, TypeError, KeyError, ValueError) as error:
        raise InputError(f"{path}: is damaged ({describe_cause(error)})") from error


def _parse_position(path: Path, text: str) -> Position:
    try:
        version = json.loads(text)["version"]
        if version != VERSION:
            raise InputError(f"{path}: unsupported checkpoint format version {version}, expected {VERSION}")
        return Position.model_validate_json(text)
    except (ValidationError, TypeError, KeyError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: is damaged ({describe_cause(error)})") from error
