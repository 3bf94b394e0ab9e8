"""Training checkpoints: save and load the state to resume from, as safetensors files with a checksum."""

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
from deepen.core.files import write_atomically
from deepen.core.wording import describe_cause
from deepen.models.tensors import compute_tensors_checksum
from deepen.runtime.lock import hold_lock, read_lock_holder
from deepen.training.position import FOLDER as FOLDER
from deepen.training.position import KEY, read_position
from deepen.training.position import Position as Position
from deepen.training.position import describe_checkpoint as describe_checkpoint

_EPOCH_SECONDS = 5.0  # short epochs share a checkpoint: writing one after each would cost more than repeating some
_REQUESTS = "wanted-*"  # files, each locked by a process that waits for the result


@dataclass(frozen=True)
class Checkpoint:
    """The position of a training, and its tensors by name."""

    position: Position
    tensors: Mapping[str, Tensor]


class Checkpoints:
    """The folder with the two newest checkpoints of one training."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self.folder, self._seconds = folder, seconds
        self._saved = time.monotonic()
        self._newest: Path | None = None
        self._request = ExitStack()  # holds this process's lock while it waits for the result

    def exist(self) -> bool:
        """Return whether the training has a checkpoint to resume from."""
        return any(self.folder.glob("*.safetensors"))

    @property
    def due(self) -> bool:
        """Whether the last checkpoint is `seconds` old."""
        return time.monotonic() - self._saved >= self._seconds

    @property
    def due_after_epoch(self) -> bool:
        """Whether to save at the end of an epoch: the last checkpoint is some seconds old."""
        return time.monotonic() - self._saved >= min(self._seconds, _EPOCH_SECONDS)

    def save(self, checkpoint: Checkpoint) -> None:
        """Save a checkpoint, keep the one before it, and remove older ones."""
        position = checkpoint.position
        path = self.folder / f"{position.step:09}-{len(position.history):06}.safetensors"
        save_checkpoint(path, checkpoint)
        keep = {path, self._newest or path, *self.folder.glob(_REQUESTS)}
        for other in set(self.folder.iterdir()) - keep:
            shutil.rmtree(other) if other.is_dir() else other.unlink()
        self._newest, self._saved = path, time.monotonic()

    def load_newest(self) -> Checkpoint | None:
        """Load the newest valid checkpoint; report each invalid one."""
        paths = sorted(self.folder.glob("*.safetensors"), reverse=True)
        for path in paths:
            try:
                checkpoint = load_checkpoint(path, self.folder.name)
            except InputError as error:
                print(f"{error}; trying the checkpoint before it", file=sys.stderr, flush=True)
            else:
                self._newest = path
                return checkpoint
        if paths:
            print(f"{self.folder}: no valid checkpoint; starting over", file=sys.stderr, flush=True)
        return None

    def request_last(self) -> None:
        """Ask the owning process to keep its last checkpoint, from which this process can read the result."""
        request = _REQUESTS.replace("*", f"{socket.gethostname()}-{os.getpid()}")
        self._request.enter_context(hold_lock(self.folder / request, lambda holder: None))

    def withdraw_request(self) -> None:
        """Withdraw the request, once this process owns the training."""
        self._request.close()

    def remove(self) -> None:
        """Remove all checkpoints, unless other processes wait for the last."""
        if all(read_lock_holder(request) is None for request in self.folder.glob(_REQUESTS)):
            shutil.rmtree(self.folder, ignore_errors=True)


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint with a checksum over its whole content; raises InputError if writing fails."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
    position = checkpoint.position.model_dump_json()
    metadata = {KEY: json.dumps({"position": position, "sha256": compute_tensors_checksum(position, tensors)})}
    with write_atomically(path) as temporary:
        save_file(tensors, temporary, metadata=metadata)


def load_checkpoint(path: Path, training: str) -> Checkpoint:
    """Load a checkpoint of a training; raises InputError if it is damaged or belongs to another training."""
    position, text, checksum = read_position(path)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: is damaged ({describe_cause(error)})") from error
    if compute_tensors_checksum(text, tensors) != checksum:
        raise InputError(f"{path}: is damaged (checksum mismatch)")
    if position.training != training:
        raise InputError(f"{path}: belongs to another training, {position.training}")
    return Checkpoint(position, tensors)


def compute_training_key(settings: Mapping[str, Any], files: Sequence[Path]) -> str:
    """Return a short hash of all inputs of a training: its settings, its files, the code, PyTorch's version."""
    digest = hashlib.sha256(json.dumps([settings, torch.__version__], sort_keys=True).encode())
    modules = {name: module for name, module in sys.modules.items() if name.split(".")[0] in _CODE}
    code = [(name, file) for name in sorted(modules) if (file := getattr(modules[name], "__file__", None))]
    for name, path in [*code, *((path.name, path) for path in files)]:
        with open(path, "rb") as file:
            digest.update(f"{name} {hashlib.file_digest(file, 'sha256').hexdigest()}".encode())
    return digest.hexdigest()[:12]


_CODE = ("__main__", "deepen", "pipeline")
