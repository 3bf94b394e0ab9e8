"""The `deepen` command: what people do with a ladder besides `dvc repro`."""

import argparse
import os
import sys
from collections.abc import Sequence

from deepen import __version__
from deepen.commands import (
    checkpoints,
    compare,
    evaluate,
    exp,
    export,
    import_weights,
    ladder,
    models,
    new,
    predict,
    settings,
)
from deepen.errors import InputError, listed_faults

# Each module adds one command; what takes long to import, its `run` imports.
_COMMANDS = (predict, evaluate, export, import_weights, settings, models, compare, new, exp, ladder, checkpoints)


def main(words: Sequence[str] | None = None) -> None:
    """Run the command line's words, or these."""
    parser = argparse.ArgumentParser(prog="deepen", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in _COMMANDS:
        command.add(commands)
    options = parser.parse_args(words)
    try:
        options.run(options)
        sys.stdout.flush()
    except InputError as error:
        sys.exit(listed_faults(error))
    except BrokenPipeError:  # as in `deepen predict ... | head`: what is left goes nowhere, also at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
