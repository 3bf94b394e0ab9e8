"""`deepen ladder`: an experiment with another ladder than that of params.yaml."""

import argparse
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deepen.errors import InputError

FOLDER = Path("ladders")


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = commands.add_parser(
        "ladder",
        help="run an experiment with a ladder of ladders/",
        description="Run dvc exp run with ladders/NAME.yaml in the place of params.yaml. The file is checked first; "
        "all options of dvc exp run may follow: with --temp or --queue your params.yaml stays as it is.",
        epilog="example: deepen ladder paper --temp -S datasets.folder.root=/photos",
    )
    parser.add_argument("name", metavar="NAME", help="for example paper")
    parser.add_argument("options", nargs=argparse.REMAINDER, metavar="...", help="options of dvc exp run")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    import yaml

    from deepen.settings import load_settings

    path = FOLDER / f"{options.name}.yaml"
    if not path.is_file():
        there = ", ".join(sorted(file.stem for file in FOLDER.glob("*.yaml"))) or "none"
        raise InputError(f"{path}: is not there; name one of the ladders ({there}), in the project's folder")
    load_settings(path)
    if shutil.which("dvc") is None:
        raise InputError("dvc: is no command here; source .venv/bin/activate first")
    changes = overrides(yaml.safe_load(path.read_text(encoding="utf-8")))
    words = ["dvc", "exp", "run", *(word for change in changes for word in ("--set-param", change)), *options.options]
    os.execvp("dvc", words)


def overrides(settings: Mapping[str, Any]) -> Iterator[str]:
    """What makes any params.yaml these settings, in Hydra's grammar, in which `dvc exp run` takes changes."""
    for name, value in settings.items():
        if isinstance(value, dict):  # else the two would be merged
            yield f"~{name}"
        yield f"++{name}={_written(value)}"


def _written(value: object) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{key}: {_written(each)}" for key, each in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_written, value)) + "]"
        case _:
            return json.dumps(value)
