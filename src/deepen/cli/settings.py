"""`deepen settings`: validate params.yaml and report all errors."""

import argparse
from pathlib import Path
from typing import Any

from deepen.cli.arguments import add_command, parse_path
from deepen.cli.missing_path import require_path
from deepen.cli.project_folder import require_project

_DEFAULT = Path("params.yaml")


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = add_command(
        commands,
        "settings",
        "validate params.yaml",
        "Validate params.yaml, or another settings file such as one of ladders/, and report all errors together. "
        "make repro does this first, because DVC's own messages about missing keys are harder to read.",
        ["deepen settings", "deepen settings ladders/paper.yaml"],
    )
    parser.add_argument(
        "file",
        nargs="?",
        type=parse_path,
        default=_DEFAULT,
        metavar="FILE",
        help="the settings file (default: params.yaml)",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from deepen.config.settings import load_settings

    if options.file == _DEFAULT:
        require_project(Path(), has_option=False)
    require_path(options.file)
    settings = load_settings(options.file)
    print(f"{options.file}: valid; data {settings.data}, models {', '.join(settings.models)}")
