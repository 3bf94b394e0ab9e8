"""`deepen` without a command: show the project's state and suggest the next command."""

import argparse
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from deepen.cli.arguments import REPORT
from deepen.cli.project_folder import find_project_above, is_project
from deepen.core.counts import pluralize
from deepen.core.errors import InputError, quote, trim
from deepen.core.shell import quote_path

if TYPE_CHECKING:
    from deepen.config.settings import Settings


def print_state(options: argparse.Namespace) -> None:
    """Print the state of the project in the current folder."""
    for line in describe_state(Path()):
        print(textwrap.fill(line, 80, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))


def describe_state(project: Path) -> Iterator[str]:
    """Describe the state of a project and the next command, one sentence per item."""
    from deepen.config.settings import load_settings

    if not is_project(project):
        yield from _describe_other_folder(project.resolve())
        return
    try:
        settings = load_settings(project / "params.yaml")
    except InputError as error:
        first, *more = error.faults
        yield first + f" (and {pluralize(len(more), 'more error')})" * bool(more)
        yield "next: deepen settings"
        return
    trained = [name for name in settings.models if (project / f"weights/{name}.safetensors").is_file()]
    unfinished = list(_describe_unfinished(project, _is_complete(project, settings, trained)))
    yield from unfinished
    yield from _describe_results(project, settings, trained)
    if not trained and not unfinished:
        yield "nothing trained yet"
    yield "next: " + _suggest_next(project, settings, trained, bool(unfinished))


def _describe_other_folder(folder: Path) -> Iterator[str]:
    if above := find_project_above(folder):
        yield f"this folder is inside a Deepen project: cd {quote_path(above)}"
    else:
        yield f"{quote(folder)} is not a Deepen project: params.yaml or dvc.yaml is missing"
        yield "next: cd to your clone of Deepen or a project; or start one: deepen init NEW, or deepen init photos/"


def _is_complete(project: Path, settings: "Settings", trained: Sequence[str]) -> bool:
    """Return whether all models are trained and evaluated with the current settings."""
    from deepen.experiments.store import load_workspace

    here = load_workspace(project)
    return set(trained) == set(settings.models) and here is not None and not here.why


def _describe_unfinished(project: Path, complete: bool) -> Iterator[str]:
    """Describe each training that is running or left a checkpoint.

    In a `complete` run, a checkpoint is of an experiment, or needless because DVC's run cache had the result.
    """
    from deepen.runtime.lock import read_lock_holder
    from deepen.training.position import FOLDER, describe_checkpoint

    paths = (project / FOLDER).glob("*")  # a lock is older than its folder, which the first checkpoint makes
    for folder in sorted({path.with_suffix("") for path in paths if path.suffix == ".lock" or path.is_dir()}):
        model, holder = quote(folder.name.rpartition("-")[0]), read_lock_holder(folder.with_suffix(".lock"))
        newest = max(folder.glob("*.safetensors"), default=None)
        try:
            position = describe_checkpoint(newest) if newest else None
        except InputError:
            position = None
        where = f" (checkpoint at step {position.step:,} of {position.steps:,})" if position else ""
        if holder:
            yield f"{model} is being trained{where} by {holder}"
        elif where and complete:
            yield (
                f"{model}: a checkpoint that this run does not need{where.replace('checkpoint ', '')}; "
                "the same command resumes an interrupted experiment, deepen checkpoints --clear removes it"
            )
        elif where:
            yield f"{model} was interrupted{where}: the same command resumes it, unless anything else has changed"


def _describe_results(project: Path, settings: "Settings", trained: Sequence[str]) -> Iterator[str]:
    """Describe the trained models, their data and accuracy, the report, and the number of experiments."""
    from deepen.experiments.store import list_names

    if trained:
        data, top1 = _describe_evaluation(project, settings)
        report = f", report at {REPORT}" if (project / REPORT).is_file() else ""
        yield f"{pluralize(len(trained), 'model')} trained{data}{top1}{report}"
    try:
        experiments = list_names(project)
    except InputError:  # the folder is not in git
        return
    if experiments:
        yield f"{pluralize(len(experiments), 'experiment')} from the last commit: deepen results"


def _describe_evaluation(project: Path, settings: "Settings") -> tuple[str, str]:
    """Return the data set of this run and the accuracy of its deepest model; empty if not evaluated yet."""
    from deepen.records.record import load_records

    path = project / "records" / f"{settings.depth}.json"
    if not path.is_file():
        return "", ""
    last = load_records(path)[-1]
    return f" on {quote(last.data_name or last.data)}", f", top-1 of {last.model} {last.metrics['top1']:.2f} %"


def _suggest_next(project: Path, settings: "Settings", trained: Sequence[str], unfinished: bool) -> str:
    from deepen.experiments.store import load_workspace

    here = load_workspace(project)
    left = [name for name in settings.models if name not in trained]
    if not trained:
        first = "make repro (or dvc repro)" if (project / "Makefile").is_file() else "dvc repro"
        return "dvc repro" if unfinished else f"{first}, which trains {', '.join(trim(left))}"
    if left:
        return f"dvc repro, which trains {', '.join(trim(left))}"
    if here is None or here.why:
        return "dvc repro" + (f": {here.why}" if here and here.why else "")
    return f"dvc exp run --temp -S lr=0.01, or deepen predict weights/{settings.depth}.safetensors photo.jpg"
