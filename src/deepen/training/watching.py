"""What trains now, wherever DVC runs it: who holds a training's lock, and what its checkpoints and curves say."""

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
from deepen.records.history import Epoch, load_history
from deepen.runtime.lock import read_lock_holder
from deepen.training.at_work import experiment_of, folder_of, is_dvc
from deepen.training.live import load_live
from deepen.training.position import FOLDER, Position, describe_checkpoint

_HOLDER = re.compile(r"process ([0-9]+) on (.+), since ")


@dataclass(frozen=True)
class Curve:
    """A model and the epochs that it has done."""

    model: str
    epochs: list[Epoch]


@dataclass(frozen=True)
class Training:
    """A model in training.

    `epochs` are those that it has done, of `all_epochs`, None where nobody knows how many. `position` is that of its
    newest checkpoint where that is newer than the last of these epochs. All this was so `age` seconds ago; `left` is
    about how many seconds more the training takes, None where nobody knows. `before` are the models that it grew from.
    `experiment` is the name of the experiment, and `run` the process that ends when all of its run has.
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


def trainings(project: Path) -> list[Training]:
    """All of a project, also those that run in copies of it."""
    return [_training(lock, by) for lock in sorted((project / FOLDER).glob("*.lock")) if (by := read_lock_holder(lock))]


def _training(lock: Path, by: str) -> Training:
    model = lock.stem.rpartition("-")[0]
    process = _process(by)
    folder = folder_of(process) if process else None
    found = list(_checkpoints(lock.with_suffix("")))
    position, kept = found[0] if found else (None, 0.0)
    began = _written(lock)
    live = folder / f"live/{model}/curves.tsv" if folder else None
    epochs, noted = (load_live(live), _written(live)) if live else ([], 0.0)
    if position and (kept > noted or len(position.history) > len(epochs)):
        noted = kept
        epochs = max(epochs, position.history, key=len)
    else:
        position = None
    of = position.epochs if position else found[0][0].epochs if found else _all_epochs(model, folder)
    age = max(0.0, time.time() - (noted if epochs or position else began))
    resumed = any(written < began for _, written in found)
    left = _seconds_left(found) if position else None
    if left is None and epochs and of and not resumed:
        left = max(0.0, (noted - began) / len(epochs) * (of - len(epochs)) - age)
    experiment = experiment_of(process) if process else ""
    return Training(model, epochs, of, position, age, left, tuple(_before(model, folder)), experiment, _run(process))


def last_trained(project: Path) -> Curve | None:
    """The model of params.yaml whose training ended last, with all of its epochs; None where there is none."""
    try:
        models = list(load_settings(project / "params.yaml").models)
    except InputError:
        return None
    curves = [
        (_written(path), at, name) for at, name in enumerate(models) if (path := _curves(project, name)).is_file()
    ]
    try:
        return Curve(name := max(curves)[2], load_history(_curves(project, name)).epochs) if curves else None
    except InputError:  # damaged
        return None


def _curves(folder: Path, model: str) -> Path:
    return folder / f"curves/{model}.json"


def _written(path: Path) -> float:
    """When a file was written, in seconds; 0 where there is none."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _checkpoints(folder: Path) -> Iterator[tuple[Position, float]]:
    """The positions of those that can be read, the newest first, and when they were written."""
    for path in sorted(folder.glob("*.safetensors"), reverse=True):
        try:
            yield describe_checkpoint(path), path.stat().st_mtime
        except (InputError, OSError):  # damaged, or removed meanwhile
            continue


def _seconds_left(found: list[tuple[Position, float]]) -> float | None:
    """At the pace between the two newest checkpoints."""
    if len(found) < 2:
        return None
    (new, now), (old, before) = found[:2]
    if new.step <= old.step:
        return None
    pace = (now - before) / (new.step - old.step)
    return max(0.0, (new.steps - new.step) * pace - (time.time() - now))


def _all_epochs(model: str, folder: Path | None) -> int | None:
    """How many epochs a model is to have, by the settings and the images in the folder where it trains."""
    if folder is None:
        return None
    try:
        with safe_open(folder / "data/train.safetensors", framework="numpy") as file:
            (images,) = file.get_slice("labels").get_shape()
        return load_settings(folder / "params.yaml").epochs(model, images)
    except (InputError, OSError, SafetensorError, KeyError, ValueError):  # edited, or gone, since it began
        return None


def _process(by: str) -> psutil.Process | None:
    """The process that holds a lock, where it runs on this machine."""
    found = _HOLDER.match(by)
    if found is None or found[2] != socket.gethostname():
        return None
    try:
        return psutil.Process(int(found[1]))
    except psutil.Error:
        return None


def _run(process: psutil.Process | None) -> psutil.Process | None:
    """The outermost dvc that a training belongs to; where there is none, its own process."""
    try:
        above = process.parents() if process else []
        return next((each for each in reversed(above) if is_dvc(each)), process)
    except psutil.Error:
        return process


def _before(model: str, folder: Path | None) -> list[Curve]:
    """The models that one grew from, shallowest first, as the folder in which it trains has them."""
    if folder is None:
        return []
    try:
        before = load_settings(folder / "params.yaml").ancestors(model)
        return [Curve(each, load_history(_curves(folder, each)).epochs) for each in before]
    except (InputError, OSError, KeyError):  # edited, or gone, since it began
        return []
