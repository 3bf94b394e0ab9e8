"""`deepen ladder`: an experiment with another ladder than that of params.yaml."""

import argparse
from pathlib import Path
from typing import Any

from deepen.commands.exp import run_experiment
from deepen.errors import InputError

FOLDER = Path("ladders")


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = commands.add_parser(
        "ladder",
        help="run an experiment with a ladder of ladders/",
        description="Run dvc exp run with ladders/NAME.yaml in the place of params.yaml. The file is checked first; "
        "all options of deepen exp may follow: with --temp or --queue your params.yaml stays as it is.",
        epilog="example: deepen ladder paper --temp -S datasets.folder.root=/photos",
    )
    parser.add_argument("name", metavar="NAME", help="for example paper")
    parser.add_argument("options", nargs=argparse.REMAINDER, metavar="...", help="options of deepen exp")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from deepen.overrides import replacement
    from deepen.settings import load_settings
    from deepen.yaml_reading import read_yaml

    path = FOLDER / f"{options.name}.yaml"
    if not path.is_file():
        there = ", ".join(sorted(file.stem for file in FOLDER.glob("*.yaml"))) or "none"
        raise InputError(f"{path}: missing; name one of the ladders ({there}), in the project's folder")
    load_settings(path)
    content = read_yaml(path)
    assert isinstance(content, dict)  # load_settings has seen to it
    run_experiment(options.options, replacement(content))
