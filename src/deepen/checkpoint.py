"""Resumable state: where a training stands, in files that are whole or not there, never pickled."""

import hashlib
import json
import os
import shutil
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from deepen.errors import InputError
from deepen.history import Epoch
from deepen.locking import holder, locked
from deepen.weights import tensors_checksum
from deepen.writing import replacing

FOLDER = "checkpoints"  # below the project, outside all that DVC removes before a stage runs
VERSION = 1
_EPOCH_SECONDS = 5.0  # short epochs share a checkpoint: to write each would cost more than to repeat some
_KEY = "deepen-checkpoint"
_WISHES = "wanted-*"  # files, each locked by a process that waits for the result


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


@dataclass(frozen=True)
class Checkpoint:
    """Where a training stands, and its tensors by name."""

    position: Position
    tensors: Mapping[str, Tensor]


class Checkpoints:
    """The checkpoints of one training, in a folder of their own: the newest, and the one before."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self.folder, self._seconds = folder, seconds
        self._saved = time.monotonic()
        self._newest: Path | None = None
        self._wish = ExitStack()  # holds this process's lock while it waits for the result

    @property
    def due(self) -> bool:
        """Whether the last one is as old as was asked for."""
        return time.monotonic() - self._saved >= self._seconds

    @property
    def due_after_an_epoch(self) -> bool:
        """Whether the end of an epoch is to be kept: the last one is some seconds old."""
        return time.monotonic() - self._saved >= min(self._seconds, _EPOCH_SECONDS)

    def save(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint, and of the others the one before."""
        position = checkpoint.position
        path = self.folder / f"{position.step:09}-{len(position.history):06}.safetensors"
        save_checkpoint(path, checkpoint)
        keep = {path, self._newest or path, *self.folder.glob(_WISHES)}
        for other in set(self.folder.iterdir()) - keep:
            shutil.rmtree(other) if other.is_dir() else other.unlink()
        self._newest, self._saved = path, time.monotonic()

    def newest(self) -> Checkpoint | None:
        """The newest that is whole; each that is not is reported."""
        paths = sorted(self.folder.glob("*.safetensors"), reverse=True)
        for path in paths:
            try:
                found = load_checkpoint(path, self.folder.name)
            except InputError as error:
                print(f"{error}; the one before it counts", file=sys.stderr, flush=True)
            else:
                self._newest = path
                return found
        if paths:
            print(f"{self.folder}: no checkpoint is whole; starting anew", file=sys.stderr, flush=True)
        return None

    def claim(self) -> None:
        """Be the one at this training, and wait for it no longer."""
        self._wish.close()

    def want(self) -> None:
        """Have who is at this training leave the last checkpoint, from which this process can have the result."""
        wish = _WISHES.replace("*", f"{socket.gethostname()}-{os.getpid()}")
        self._wish.enter_context(locked(self.folder / wish, lambda holder: None))

    def remove(self) -> None:
        """Remove them, unless other processes wait for the last."""
        if all(holder(wish) is None for wish in self.folder.glob(_WISHES)):
            shutil.rmtree(self.folder, ignore_errors=True)


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint with a checksum over all of it; raises InputError where that can't be done."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
    position = checkpoint.position.model_dump_json()
    metadata = {_KEY: json.dumps({"position": position, "sha256": tensors_checksum(position, tensors)})}
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata=metadata)


def load_checkpoint(path: Path, training: str) -> Checkpoint:
    """Read a checkpoint of a training; raises InputError where it is damaged, or is not of that training."""
    text, checksum = _metadata(path)
    position = _position(path, text)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: is damaged ({error})") from error
    if tensors_checksum(text, tensors) != checksum:
        raise InputError(f"{path}: is damaged (its checksum does not hold)")
    if position.training != training:
        raise InputError(f"{path}: is of another training, {position.training}")
    return Checkpoint(position, tensors)


def describe_checkpoint(path: Path) -> Position:
    """Where the training of a checkpoint stands, by its header alone; raises InputError where that is damaged."""
    return _position(path, _metadata(path)[0])


def _metadata(path: Path) -> tuple[str, str]:
    try:
        with safe_open(path, framework="pt") as file:
            found = json.loads(file.metadata()[_KEY])
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


def training_key(settings: Mapping[str, Any], files: Sequence[Path]) -> str:
    """A short hash of all that shapes a training: its settings, what it starts from, the code that runs, PyTorch."""
    digest = hashlib.sha256(json.dumps([settings, torch.__version__], sort_keys=True).encode())
    modules = {name: module for name, module in sys.modules.items() if name.split(".")[0] in _CODE}
    code = [(name, file) for name in sorted(modules) if (file := getattr(modules[name], "__file__", None))]
    for name, path in [*code, *((path.name, path) for path in files)]:
        with open(path, "rb") as file:
            digest.update(f"{name} {hashlib.file_digest(file, 'sha256').hexdigest()}".encode())
    return digest.hexdigest()[:12]


_CODE = ("__main__", "deepen", "pipeline")
