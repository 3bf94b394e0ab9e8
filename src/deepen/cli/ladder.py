"""`deepen ladder`: an experiment with another ladder than that of params.yaml."""

import argparse
from pathlib import Path
from typing import Any

from deepen.cli.exp import run_experiment
from deepen.cli.words import add_command
from deepen.core.errors import InputError, plain, some
from deepen.core.nearest import suggest_name

FOLDER = Path("ladders")


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = add_command(
        commands,
        "ladder",
        "run an experiment with a ladder of ladders/",
        "Run dvc exp run with ladders/NAME.yaml in the place of params.yaml, such as the VGG paper's networks A to E. "
        "The file is checked first; all options of deepen exp may follow: with --temp or --queue your params.yaml "
        "stays as it is.",
        ["deepen ladder paper --temp -S datasets.folder.root=/photos"],
    )
    parser.add_argument("name", metavar="NAME", help="for example paper")
    parser.add_argument("options", nargs=argparse.REMAINDER, metavar="...", help="options of deepen exp")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from deepen.config.settings import load_settings
    from deepen.core.yaml_reading import read_yaml

    path = FOLDER / f"{options.name}.yaml"
    if not path.is_file():
        there = sorted(file.stem for file in FOLDER.glob("*.yaml"))
        listed = ", ".join(map(plain, some(there))) or "none"
        raise InputError(
            f"{path}: missing; name one of the ladders ({listed}), in the project's folder"
            + suggest_name(options.name, there)
        )
    load_settings(path)
    content = read_yaml(path)
    assert isinstance(content, dict)  # load_settings has seen to it
    run_experiment(options.options, content)
