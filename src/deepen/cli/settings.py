"""`deepen settings`: what is wrong with a params.yaml."""

import argparse
import os
from pathlib import Path
from typing import Any

from deepen.cli.missing_path import suggest_path
from deepen.cli.words import add_command
from deepen.core.errors import InputError, plain


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = add_command(
        commands,
        "settings",
        "check params.yaml",
        "Say everything that is wrong with params.yaml, or with another file of its kind, such as one of ladders/. "
        "make repro does it first: where a key is missing, DVC's own message is harder to read.",
        ["deepen settings", "deepen settings ladders/paper.yaml"],
    )
    parser.add_argument(
        "file", nargs="?", type=Path, default=Path("params.yaml"), metavar="FILE", help="default: params.yaml"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from deepen.config.settings import load_settings

    if not os.path.lexists(options.file):
        raise InputError(f"{plain(options.file)}: no such file{suggest_path(options.file)}")
    settings = load_settings(options.file)
    print(f"{options.file}: no fault; data {settings.data}, models {', '.join(settings.models)}")
