"""`deepen` alone: where a project stands, and what to type next."""

import argparse
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from deepen.cli.words import REPORT
from deepen.core.counts import counted
from deepen.core.errors import InputError, plain, some

if TYPE_CHECKING:
    from deepen.config.settings import Settings

_FILES = ("params.yaml", "dvc.yaml")  # that a project has


def tell(options: argparse.Namespace) -> None:
    """Print it."""
    for line in state(Path()):
        print(textwrap.fill(line, 80, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))


def state(project: Path) -> Iterator[str]:
    """Where the project in a folder stands and what is next, a sentence each."""
    from deepen.config.settings import load_settings

    if not _is_project(project):
        yield from _outside(project.resolve())
        return
    try:
        settings = load_settings(project / "params.yaml")
    except InputError as error:
        yield f"params.yaml has {counted(len(error.faults), 'fault')}, such as {error.faults[0]}"
        yield "next: deepen settings"
        return
    trained = [name for name in settings.models if (project / f"weights/{name}.safetensors").is_file()]
    interrupted = list(_interrupted(project))
    yield from interrupted
    yield from _results(project, settings, trained)
    if not trained and not interrupted:
        yield "nothing trained yet"
    yield "next: " + _next(project, settings, trained, bool(interrupted))


def _is_project(folder: Path) -> bool:
    return all((folder / name).is_file() for name in _FILES)


def _outside(folder: Path) -> Iterator[str]:
    above = next((each for each in folder.parents if _is_project(each)), None)
    if above:
        yield f"this folder is inside a project of Deepen: cd {plain(above)}"
    else:
        yield f"{plain(folder)} is not a project of Deepen: it has no params.yaml and dvc.yaml"
        yield "next: cd to your clone of Deepen; without one, git clone its repository and run make repro there"


def _interrupted(project: Path) -> Iterator[str]:
    """A sentence for each training that left a checkpoint, or is at it."""
    from deepen.runtime.lock import read_lock_holder
    from deepen.training.position import FOLDER, describe_checkpoint

    for folder in sorted(path for path in (project / FOLDER).glob("*") if path.is_dir()):
        model, at = plain(folder.name.rpartition("-")[0]), read_lock_holder(folder.with_suffix(".lock"))
        newest = max(folder.glob("*.safetensors"), default=None)
        try:
            position = describe_checkpoint(newest) if newest else None
        except InputError:
            position = None
        where = f" (checkpoint of step {position.step:,} of {position.steps:,})" if position else ""
        if at:
            yield f"{model} is in training{where}, by {at}"
        elif where:
            yield f"{model} was interrupted{where}: the same command goes on with it, if nothing else was changed"


def _results(project: Path, settings: "Settings", trained: Sequence[str]) -> Iterator[str]:
    """What is trained, on what, how well, and where the report is."""
    from deepen.experiments.store import list_names

    if trained:
        on, top1 = _evaluated(project, settings)
        report = f", report at {REPORT}" if (project / REPORT).is_file() else ""
        yield f"{counted(len(trained), 'model')} trained{on}{top1}{report}"
    try:
        found = list_names(project)
    except InputError:  # of a folder that is not in git
        return
    if found:
        yield f"{counted(len(found), 'experiment')} from the last commit: deepen results"


def _evaluated(project: Path, settings: "Settings") -> tuple[str, str]:
    """On which data the models of this run are, and what the deepest reached; nothing where none is evaluated."""
    from deepen.records.record import load_records

    path = project / "records" / f"{settings.depth}.json"
    if not path.is_file():
        return "", ""
    last = load_records(path)[-1]
    return f" on {plain(last.data_name or last.data)}", f", top-1 of {last.model} {last.metrics['top1']:.2f} %"


def _next(project: Path, settings: "Settings", trained: Sequence[str], interrupted: bool) -> str:
    from deepen.experiments.store import workspace

    here = workspace(project)
    left = [name for name in settings.models if name not in trained]
    if not trained:
        return "dvc repro" if interrupted else f"make repro (or dvc repro), which trains {', '.join(some(left))}"
    if left:
        return f"dvc repro, which trains {', '.join(some(left))}"
    if here is None or here.why:
        return "dvc repro" + (f": {here.why}" if here and here.why else "")
    return f"dvc exp run --temp -S lr=0.01, or deepen predict weights/{settings.depth}.safetensors photo.jpg"
