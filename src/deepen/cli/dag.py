"""`deepen dag`: draw the stages of dvc.yaml and the tree of the models that they train, each with its state."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tabulate import tabulate

from deepen.cli.arguments import add_command, add_project
from deepen.cli.exp import read_stages
from deepen.cli.settings_file import read_params
from deepen.core.tree import draw_tree


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = add_command(
        commands,
        "dag",
        "draw the stages and the tree of models",
        "Draw the stages of dvc.yaml in the order in which they run, with the models as a tree: each model below the "
        "one that it grows from. Stages are done if dvc.lock has their results for the settings in params.yaml; "
        "dvc status compares code and files too.",
        ["deepen dag"],
    )
    add_project(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    rows = list(describe_stages(options.project))
    print(tabulate(rows, tablefmt="plain", disable_numparse=True, preserve_whitespace=True))


def describe_stages(project: Path) -> Iterator[tuple[str, str, str]]:
    """Yield rows of part, stages or model, and state; raises InputError if params.yaml or dvc.yaml is invalid."""
    from deepen.config.settings import check_settings
    from deepen.experiments.collecting import describe_stage

    content = read_params(project)
    settings = check_settings(content)
    before, of_models, last = _group_stages(project)
    for part, names in (("images", before), ("models", of_models), ("report", last)):
        state = _describe_last(project, content, names[-1]) if names and part != "models" else ""
        yield part, " -> ".join(names), state
        if names and part == "models":
            for name, lines in draw_tree({name: model.after for name, model in settings.models.items()}).items():
                yield "", lines + name, describe_stage(project, content, f"{names[-1]}@{name}")


def _describe_last(project: Path, content: Any, stage: str) -> str:
    """Return the state of the last of some stages."""
    from deepen.experiments.collecting import describe_report, describe_stage

    path = project / "reports/models.json"  # of the stage collect
    return describe_report(project, content, path) if stage == "report" else describe_stage(project, content, stage)


def _group_stages(project: Path) -> tuple[list[str], list[str], list[str]]:
    """Return the stages before those of each model, those of each model, and those after them."""
    stages = read_stages(project)
    names = list(stages)
    of_models = [name for name in names if isinstance(stages[name], dict) and "foreach" in stages[name]]
    start = names.index(of_models[0]) if of_models else len(names)
    return names[:start], of_models, [name for name in names[start:] if name not in of_models]
