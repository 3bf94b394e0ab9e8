"""The `deepen` command: what people do with a ladder besides `dvc repro`."""

import sys
from collections.abc import Sequence

from deepen.core.entry_point import run_program


def main(words: Sequence[str] | None = None) -> None:
    """Run the command line's words, or these; raises SystemExit unless all went well."""
    words = list(sys.argv[1:] if words is None else words)
    run_program(lambda: _run(words), debug="--debug" in words)


def _run(words: Sequence[str]) -> None:
    # here, so that Ctrl-C while they are imported is one line too
    from deepen.cli.parser import parse
    from deepen.cli.words import require_project

    options = parse(words)
    if "project" in options:
        require_project(options.project)
    options.run(options)
