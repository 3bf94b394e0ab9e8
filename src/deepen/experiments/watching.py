"""Find the trainings that run now, also in experiments, and their progress: from locks, checkpoints and live curves."""

import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from safetensors import SafetensorError, safe_open

from deepen.config.settings import load_settings
from deepen.core.errors import InputError
from deepen.experiments.running_stages import get_experiment, get_folder, is_dvc
from deepen.records.history import Epoch, load_history
from deepen.runtime.lock import read_lock_holder
from deepen.training.live import load_live
from deepen.training.position import FOLDER, Position, describe_checkpoint

_HOLDER = re.compile(r"process ([0-9]+) on (.+), since ")


@dataclass(frozen=True)
class Curve:
    """A model and its completed epochs."""

    model: str
    epochs: list[Epoch]


@dataclass(frozen=True)
class Training:
    """The progress of a model in training.

    `epochs` are the completed epochs, of `all_epochs` (None if unknown). `position` is that of the newest checkpoint if
    it is newer than the last of these epochs. All this is `age` seconds old; `left` estimates the seconds left (None if
    unknown). `before` are the models that it grew from. `experiment` is the name of its experiment, or empty. `run` is
    the process whose end is the end of the whole run.
    """

    model: str
    epochs: list[Epoch]
    all_epochs: int | None
    position: Position | None
    age: float
    left: float | None
    before: tuple[Curve, ...]
    experiment: str
    run: psutil.Process | None


def list_trainings(project: Path) -> list[Training]:
    """Return the trainings of a project that run now, also those that run in copies of it."""
    locks = sorted((project / FOLDER).glob("*.lock"))
    return [_read_training(lock, holder) for lock in locks if (holder := read_lock_holder(lock))]


def _read_training(lock: Path, holder: str) -> Training:
    model = lock.stem.rpartition("-")[0]
    process = _find_process(holder)
    folder = get_folder(process) if process else None
    checkpoints = list(_iter_checkpoints(lock.with_suffix("")))
    position, saved = checkpoints[0] if checkpoints else (None, 0.0)
    began = _get_mtime(lock)
    live = folder / f"live/{model}/curves.tsv" if folder else None
    epochs, updated = (load_live(live), _get_mtime(live)) if live else ([], 0.0)
    if position and (saved > updated or len(position.history) > len(epochs)):
        updated = saved
        epochs = max(epochs, position.history, key=len)
    else:
        position = None
    all_epochs = checkpoints[0][0].epochs if checkpoints else _compute_all_epochs(model, folder)
    age = max(0.0, time.time() - (updated if epochs or position else began))
    resumed = any(written < began for _, written in checkpoints)
    left = _estimate_seconds_left(checkpoints) if position else None
    if left is None and epochs and all_epochs and not resumed:
        left = max(0.0, (updated - began) / len(epochs) * (all_epochs - len(epochs)) - age)
    experiment = get_experiment(process) if process else ""
    before = tuple(_load_ancestors(model, folder))
    return Training(model, epochs, all_epochs, position, age, left, before, experiment, _find_run(process))


def find_last_trained(project: Path) -> Curve | None:
    """Return the model of params.yaml whose training ended last, with all its epochs; None if none is trained."""
    try:
        models = list(load_settings(project / "params.yaml").models)
    except InputError:
        return None
    curves = [
        (_get_mtime(path), i, name) for i, name in enumerate(models) if (path := _curves_path(project, name)).is_file()
    ]
    try:
        return Curve(name := max(curves)[2], load_history(_curves_path(project, name)).epochs) if curves else None
    except InputError:  # damaged
        return None


def _curves_path(folder: Path, model: str) -> Path:
    return folder / f"curves/{model}.json"


def _get_mtime(path: Path) -> float:
    """Return the modification time of a file, in seconds; 0 if it is missing."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _iter_checkpoints(folder: Path) -> Iterator[tuple[Position, float]]:
    """Yield the position and modification time of each readable checkpoint, newest first."""
    for path in sorted(folder.glob("*.safetensors"), reverse=True):
        try:
            yield describe_checkpoint(path), path.stat().st_mtime
        except (InputError, OSError):  # damaged, or removed meanwhile
            continue


def _estimate_seconds_left(checkpoints: list[tuple[Position, float]]) -> float | None:
    """Estimate the seconds left, at the pace between the two newest checkpoints."""
    if len(checkpoints) < 2:
        return None
    (new, now), (old, before) = checkpoints[:2]
    if new.step <= old.step:
        return None
    pace = (now - before) / (new.step - old.step)
    return max(0.0, (new.steps - new.step) * pace - (time.time() - now))


def _compute_all_epochs(model: str, folder: Path | None) -> int | None:
    """Return the number of epochs of a training, by the settings and images in its folder; None if unknown."""
    if folder is None:
        return None
    try:
        with safe_open(folder / "data/train.safetensors", framework="numpy") as file:
            (images,) = file.get_slice("labels").get_shape()
        return load_settings(folder / "params.yaml").epochs(model, images)
    except (InputError, OSError, SafetensorError, KeyError, ValueError):  # edited or removed since the start
        return None


def _find_process(holder: str) -> psutil.Process | None:
    """Return the process that holds a lock if it runs on this machine, else None."""
    match = _HOLDER.match(holder)
    if match is None or match[2] != socket.gethostname():
        return None
    try:
        return psutil.Process(int(match[1]))
    except psutil.Error:
        return None


def _find_run(process: psutil.Process | None) -> psutil.Process | None:
    """Return the outermost dvc process that started a training; without one, the process itself."""
    try:
        parents = process.parents() if process else []
        return next((each for each in reversed(parents) if is_dvc(each)), process)
    except psutil.Error:
        return process


def _load_ancestors(model: str, folder: Path | None) -> list[Curve]:
    """Return the curves of the models that a model grew from, shallowest first, from the folder where it trains."""
    if folder is None:
        return []
    try:
        ancestors = load_settings(folder / "params.yaml").ancestors(model)
        return [Curve(each, load_history(_curves_path(folder, each)).epochs) for each in ancestors]
    except (InputError, OSError, KeyError):  # edited or removed since the start
        return []
