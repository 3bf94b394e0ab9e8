"""Find the DVC processes and pipeline stages that run now, in a project or in its copies for experiments."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

_STAGE = re.compile(r"\0-m\0pipeline\.(?!launched)(\w+)(?:\0([\w-]+))?(?=\0|$)")
_COPIES = Path(".dvc/tmp/exps")  # in a project; DVC runs queued experiments and those with --temp there
_RUNS = {"repro", "run", "exec-run", "queue-worker"}  # arguments of a dvc command that runs stages


@dataclass(frozen=True)
class Stage:
    """A running stage: its name, and the names of its model and its experiment; each is empty if it has none."""

    name: str
    model: str
    experiment: str


def list_running_stages(project: Path) -> list[Stage]:
    """Return the stages of a project that run now on this machine."""
    stages = (_parse_stage(process) for process in _iter_processes(project))
    return list(dict.fromkeys(stage for stage in stages if stage))


def list_runs(project: Path) -> list[psutil.Process]:
    """Return the DVC processes that run stages of a project now on this machine."""
    return [each for each in _iter_processes(project) if is_dvc(each) and _RUNS & set(_get_arguments(each))]


def is_dvc(process: psutil.Process) -> bool:
    """Return whether a process runs the dvc command."""
    return any(Path(word).name == "dvc" for word in _get_arguments(process)[:2])


def get_experiment(process: psutil.Process) -> str:
    """Return the name of a stage's experiment, from its environment variables; empty if it has none."""
    try:
        return str(process.environ().get("DVC_EXP_NAME", ""))
    except (psutil.Error, OSError):
        return ""


def get_folder(process: psutil.Process) -> Path | None:
    """Return the working directory of a process; None if it is unknown."""
    try:
        return Path(process.cwd())
    except (psutil.Error, OSError):
        return None


def _iter_processes(project: Path) -> Iterator[psutil.Process]:
    """Yield the processes whose working directory is a project or one of its copies."""
    root = project.resolve()
    for process in psutil.process_iter():
        folder = get_folder(process)
        if folder is not None and (folder == root or folder.is_relative_to(root / _COPIES)):
            yield process


def _parse_stage(process: psutil.Process) -> Stage | None:
    match = _STAGE.search("\0".join(_get_arguments(process)))
    return Stage(match[1], match[2] or "", get_experiment(process)) if match else None


def _get_arguments(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except (psutil.Error, OSError):
        return []
