"""Check the arguments of `deepen exp`: options of dvc exp run, stages of dvc.yaml and experiment names."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from deepen.core.errors import InputError, quote
from deepen.core.nearest import find_nearest
from deepen.experiments.store import list_names

_WITH_VALUE = (
    "-n",
    "--name",
    "-S",
    "--set-param",
    "-j",
    "--jobs",
    "-C",
    "--copy-paths",
    "-m",
    "--message",
    "--changes",
)
_OPTIONS = (
    *("--name", "--set-param", "--jobs", "--copy-paths", "--message", "--changes", "--temp", "--queue", "--run-all"),
    *("--force", "--quiet", "--verbose", "--interactive", "--single-item", "--pipeline", "--all-pipelines"),
    *("--recursive", "--downstream", "--force-downstream", "--pull", "--allow-missing", "--dry", "--keep-going"),
    *("--ignore-errors", "--no-hydra", "--help"),
)


def find_argument_faults(options: Sequence[str], stages: Mapping[str, Any], models: Sequence[str]) -> Iterator[str]:
    """Yield a message for each unknown option that resembles a known one, and each unknown stage.

    Other arguments are left to DVC. `stages` is the mapping of that name in dvc.yaml.
    """
    known = [name for stage in stages for name in (stage, *_list_model_stages(stage, stages[stage], models))]
    arguments = iter(options)
    for argument in arguments:
        name = argument.partition("=")[0]
        if argument in _WITH_VALUE:
            next(arguments, None)
        elif name.startswith("--"):
            if not any(each.startswith(name) for each in _OPTIONS) and (near := find_nearest(name, _OPTIONS)):
                yield f"{quote(name)[:60]}: unknown option; did you mean {near}?"
        elif not argument.startswith("-") and re.fullmatch(r"[\w-]+(@[\w-]+)?", argument) and argument not in known:
            near = find_nearest(argument, known)
            remedy = f"did you mean {near}?" if near else f"use one of {', '.join(stages)}"
            yield f"{quote(argument)[:60]}: unknown stage; {remedy}"


def find_name_faults(options: Sequence[str], project: Path) -> Iterator[str]:
    """Yield a message if an experiment of the given name exists, since DVC would retrain everything for it."""
    if {"--queue", "-f", "--force"} & set(options):
        return
    named = [argument for flag, argument in pairwise(options) if flag in ("-n", "--name")]
    named += [argument.partition("=")[2] for argument in options if argument.startswith("--name=")]
    try:
        taken = set(list_names(project)) if named else set()
    except InputError:  # without git or a commit; DVC reports that
        return
    for name in (name for name in named if name in taken):
        yield f"{quote(name)}: experiment already exists; choose another name, or run dvc exp remove {quote(name)}"


def _list_model_stages(stage: str, content: Any, models: Sequence[str]) -> list[str]:
    """Return the names of a foreach stage, one per model."""
    return [f"{stage}@{model}" for model in models] if isinstance(content, Mapping) and "foreach" in content else []
