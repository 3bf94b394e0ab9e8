"""The `deepen` command line: one module per command, beside `dvc repro`."""

import sys
from collections.abc import Sequence

from deepen.core.entry_point import run_program


def main(words: Sequence[str] | None = None) -> None:
    """Run the command given by `words`, by default the process's arguments; raises SystemExit on any error."""
    words = list(sys.argv[1:] if words is None else words)
    run_program(lambda: _run(words), debug="--debug" in words)


def _run(words: Sequence[str]) -> None:
    # imported here, so that Ctrl-C during the imports prints one line too
    from deepen.cli.arguments import require_project
    from deepen.cli.parser import parse_arguments

    options = parse_arguments(words)
    if "project" in options:
        require_project(options.project)
    options.run(options)
