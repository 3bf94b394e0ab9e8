"""The `deepen` command line: one module per command, beside `dvc repro`."""

import sys
from collections.abc import Sequence

from deepen.core.entry_point import run_program


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command given by `arguments`, by default the process's arguments; raises SystemExit on any error."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    run_program(lambda: _run(arguments), debug="--debug" in arguments)


def _run(arguments: Sequence[str]) -> None:
    # imported here, so that Ctrl-C during the imports prints one line too
    from deepen.cli.parser import parse_arguments
    from deepen.cli.project_folder import require_project

    options = parse_arguments(arguments)
    if "project" in options:
        require_project(options.project)
    options.run(options)
