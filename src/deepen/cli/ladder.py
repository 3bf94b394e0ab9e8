"""`deepen ladder`: run an experiment with a ladder of ladders/ in place of params.yaml."""

import argparse
from pathlib import Path
from typing import Any

from deepen.cli.arguments import add_command
from deepen.cli.exp import run_experiment
from deepen.cli.project_folder import require_project
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

    require_project(Path(), has_option=False)
    path = _find_ladder(options.name)
    load_settings(path)
    content = read_yaml(path)
    assert isinstance(content, dict)  # load_settings checks it
    run_experiment(options.options, content)


def _find_ladder(name: str) -> Path:
    """Return the file of a ladder; raises InputError, with the ladders that exist, unless it is the name of one."""
    path, is_name = LADDERS / f"{name}.yaml", Path(name).name == name != ""
    if is_name and path.is_file():
        return path
    ladders = sorted(file.stem for file in LADDERS.glob("*.yaml"))
    listed = ", ".join(map(quote, trim(ladders))) or "none"
    fault = (
        f"{quote(path)}: no such file" if is_name else f"{quote(name) or ascii(name)}: must be a name without a folder"
    )
    plain = Path(name).name.removesuffix(".yaml")
    suggestion = f"; did you mean {quote(plain)}?" if plain in ladders else suggest_name(name, ladders)
    raise InputError(f"{fault}; use an existing ladder ({listed}), without .yaml{suggestion}")
