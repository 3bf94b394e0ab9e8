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
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from deepen.core.errors import InputError
from deepen.core.files import replacing
from deepen.models.tensors import tensors_checksum
from deepen.runtime.lock import holder, locked
from deepen.training.position import FOLDER as FOLDER
from deepen.training.position import KEY, read_position
from deepen.training.position import Position as Position
from deepen.training.position import describe_checkpoint as describe_checkpoint

_EPOCH_SECONDS = 5.0  # short epochs share a checkpoint: to write each would cost more than to repeat some
_WISHES = "wanted-*"  # files, each locked by a process that waits for the result


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
    metadata = {KEY: json.dumps({"position": position, "sha256": tensors_checksum(position, tensors)})}
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata=metadata)


def load_checkpoint(path: Path, training: str) -> Checkpoint:
    """Read a checkpoint of a training; raises InputError where it is damaged, or is not of that training."""
    position, text, checksum = read_position(path)
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
