"""What trains now, wherever DVC runs it: who holds a training's lock, and what its newest checkpoint says."""

import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from deepen.errors import InputError
from deepen.history import Epoch, load_history
from deepen.locking import holder
from deepen.position import FOLDER, Position, describe_checkpoint
from deepen.settings import load_settings

_HOLDER = re.compile(r"process ([0-9]+) on (.+), since ")


@dataclass(frozen=True)
class Curve:
    """A model and the epochs that it has done."""

    model: str
    epochs: list[Epoch]


@dataclass(frozen=True)
class Training:
    """A model in training.

    `position` is that of its newest checkpoint, None where it has none yet, `age` how many seconds ago that was
    written, and `left` about how many more the training takes, None where nobody knows. `before` are the models that it
    grew from. `experiment` is the name of the experiment, and `run` the process that ends when all of its run has.
    """

    model: str
    position: Position | None
    age: float | None
    left: float | None
    before: tuple[Curve, ...]
    experiment: str
    run: psutil.Process | None


def trainings(project: Path) -> list[Training]:
    """All of a project, also those that run in copies of it."""
    return [_training(lock, by) for lock in sorted((project / FOLDER).glob("*.lock")) if (by := holder(lock))]


def _training(lock: Path, by: str) -> Training:
    model = lock.stem.rpartition("-")[0]
    found = list(_checkpoints(lock.with_suffix("")))
    newest = found[0] if found else None
    age = None if newest is None else max(0.0, time.time() - newest[1])
    process = _process(by)
    return Training(
        model,
        newest[0] if newest else None,
        age,
        _seconds_left(found),
        tuple(_before(model, _folder(process))),
        _experiment(process),
        _run(process),
    )


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


def _process(by: str) -> psutil.Process | None:
    """The process that holds a lock, where it runs on this machine."""
    found = _HOLDER.match(by)
    if found is None or found[2] != socket.gethostname():
        return None
    try:
        return psutil.Process(int(found[1]))
    except psutil.Error:
        return None


def _folder(process: psutil.Process | None) -> Path | None:
    try:
        return Path(process.cwd()) if process else None
    except (psutil.Error, OSError):
        return None


def _experiment(process: psutil.Process | None) -> str:
    """The name that DVC tells its stages in a variable."""
    try:
        return process.environ().get("DVC_EXP_NAME", "") if process else ""
    except (psutil.Error, OSError):
        return ""


def _run(process: psutil.Process | None) -> psutil.Process | None:
    """The outermost dvc that a training belongs to; where there is none, its own process."""
    try:
        above = process.parents() if process else []
        return next((each for each in reversed(above) if _is_dvc(each)), process)
    except psutil.Error:
        return process


def _is_dvc(process: psutil.Process) -> bool:
    try:
        return any(Path(word).name == "dvc" for word in process.cmdline()[:2])
    except psutil.Error:
        return False


def _before(model: str, folder: Path | None) -> list[Curve]:
    """The models that one grew from, shallowest first, as the folder in which it trains has them."""
    if folder is None:
        return []
    try:
        before = load_settings(folder / "params.yaml").ancestors(model)
        return [Curve(each, load_history(folder / f"curves/{each}.json").epochs) for each in before]
    except (InputError, OSError, KeyError):  # edited, or gone, since it began
        return []
