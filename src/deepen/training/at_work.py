"""Which stages run now, and which runs of DVC they belong to, in a project or in its copies for experiments."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

_STAGE = re.compile(r"\0-m\0pipeline\.(?!launched)(\w+)(?:\0([\w-]+))?(?=\0|$)")
_COPIES = Path(".dvc/tmp/exps")  # below a project: where DVC runs experiments with --temp and of the queue
_RUNS = {"repro", "run", "exec-run", "queue-worker"}  # words of a dvc that runs stages


@dataclass(frozen=True)
class Stage:
    """A stage that runs: its name, the model that it is of, if any, and the name of the experiment, if it is of one."""

    name: str
    model: str
    experiment: str


def stages(project: Path) -> list[Stage]:
    """The stages of a project that run now, on this machine."""
    found = (_stage(process) for process in _processes(project))
    return list(dict.fromkeys(each for each in found if each))


def runs(project: Path) -> list[psutil.Process]:
    """The processes of DVC that run stages of a project now, on this machine."""
    return [each for each in _processes(project) if is_dvc(each) and _RUNS & set(_words(each))]


def is_dvc(process: psutil.Process) -> bool:
    """Whether a process is one of DVC's."""
    return any(Path(word).name == "dvc" for word in _words(process)[:2])


def experiment_of(process: psutil.Process) -> str:
    """The name of the experiment, which DVC tells its stages in a variable; empty where there is none."""
    try:
        return str(process.environ().get("DVC_EXP_NAME", ""))
    except (psutil.Error, OSError):
        return ""


def folder_of(process: psutil.Process) -> Path | None:
    """The folder that a process works in; None where that is not known."""
    try:
        return Path(process.cwd())
    except (psutil.Error, OSError):
        return None


def _processes(project: Path) -> Iterator[psutil.Process]:
    """The processes that work in a project or in one of its copies."""
    root = project.resolve()
    for process in psutil.process_iter():
        folder = folder_of(process)
        if folder is not None and (folder == root or folder.is_relative_to(root / _COPIES)):
            yield process


def _stage(process: psutil.Process) -> Stage | None:
    found = _STAGE.search("\0".join(_words(process)))
    return Stage(found[1], found[2] or "", experiment_of(process)) if found else None


def _words(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except (psutil.Error, OSError):
        return []
