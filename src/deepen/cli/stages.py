"""The words that follow `deepen exp`, held to what dvc exp run takes: its options, and the stages of dvc.yaml."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from deepen.core.errors import InputError, plain
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


def word_faults(options: Sequence[str], stages: Mapping[str, Any], models: Sequence[str]) -> Iterator[str]:
    """A sentence for each word that is like an option or a stage and isn't one; what is like none is left to DVC.

    `stages` is what dvc.yaml has under that key.
    """
    known = [name for stage in stages for name in (stage, *_of_models(stage, stages[stage], models))]
    words = iter(options)
    for word in words:
        name = word.partition("=")[0]
        if word in _WITH_VALUE:
            next(words, None)
        elif name.startswith("--"):
            if not any(each.startswith(name) for each in _OPTIONS) and (near := find_nearest(name, _OPTIONS)):
                yield f"{plain(name)[:60]}: unknown option; did you mean {near}?"
        elif not word.startswith("-") and re.fullmatch(r"[\w-]+(@[\w-]+)?", word) and word not in known:
            near = find_nearest(word, known)
            listed = f"did you mean {near}?" if near else f"name one of {', '.join(stages)}"
            yield f"{plain(word)[:60]}: unknown stage; {listed}"


def name_faults(options: Sequence[str], project: Path) -> Iterator[str]:
    """A sentence if the experiment is to have the name of one that there is, which DVC would train all anew for."""
    if {"--queue", "-f", "--force"} & set(options):
        return
    named = [word for flag, word in pairwise(options) if flag in ("-n", "--name")]
    named += [word.partition("=")[2] for word in options if word.startswith("--name=")]
    try:
        taken = set(list_names(project)) if named else set()
    except InputError:  # without git or a commit, of which DVC tells
        return
    for name in (name for name in named if name in taken):
        yield f"{plain(name)}: an experiment has that name; take another, or dvc exp remove {plain(name)} first"


def _of_models(stage: str, content: Any, models: Sequence[str]) -> list[str]:
    """The stages of one name, a model each."""
    return [f"{stage}@{model}" for model in models] if isinstance(content, Mapping) and "foreach" in content else []
