"""`deepen ladder`: run an experiment with a ladder of ladders/ in place of params.yaml."""

import argparse
from pathlib import Path
from typing import Any

from deepen.cli.arguments import add_command
from deepen.cli.exp import run_experiment
from deepen.core.errors import InputError, quote, trim
from deepen.core.nearest import suggest_name

LADDERS = Path("ladders")


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = add_command(
        commands,
        "ladder",
        "run an experiment with a ladder of ladders/",
        "Run dvc exp run with ladders/NAME.yaml in place of params.yaml, for example the VGG paper's networks A to E. "
        "The file is validated first. All options of deepen exp may follow; with --temp or --queue, your params.yaml "
        "does not change.",
        ["deepen ladder paper --temp -S datasets.folder.root=/photos"],
    )
    parser.add_argument("name", metavar="NAME", help="a file of ladders/ without .yaml, for example paper")
    parser.add_argument("options", nargs=argparse.REMAINDER, metavar="...", help="options of deepen exp")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from deepen.config.settings import load_settings
    from deepen.core.yaml_reading import read_yaml

    path = LADDERS / f"{options.name}.yaml"
    if not path.is_file():
        ladders = sorted(file.stem for file in LADDERS.glob("*.yaml"))
        listed = ", ".join(map(quote, trim(ladders))) or "none"
        raise InputError(
            f"{path}: no such file; use an existing ladder ({listed}), and run it in the project's folder"
            + suggest_name(options.name, ladders)
        )
    load_settings(path)
    content = read_yaml(path)
    assert isinstance(content, dict)  # load_settings checks it
    run_experiment(options.options, content)
