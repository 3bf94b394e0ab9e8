"""The `deepen` command: what people do with a ladder besides `dvc repro`."""

import sys
from collections.abc import Sequence

from deepen.outermost import guarded


def main(words: Sequence[str] | None = None) -> None:
    """Run the command line's words, or these; raises SystemExit unless all went well."""
    words = list(sys.argv[1:] if words is None else words)
    guarded(lambda: _run(words), debug="--debug" in words)


def _run(words: Sequence[str]) -> None:
    from deepen.commands.parser import parse  # here, so that Ctrl-C while it is imported is one line too

    options = parse(words)
    options.run(options)
