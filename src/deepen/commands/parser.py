"""The words of the command line, each command's by its own module."""

import argparse
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
    queue,
    settings,
    watch,
)

# Each module adds one command; what takes long to import, its `run` imports.
_COMMANDS = (
    *(predict, evaluate, export, import_weights, settings, models, compare),
    *(new, exp, ladder, queue, watch, checkpoints),
)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """What the words say: `run` is the command's function, which takes them; raises SystemExit where they are wrong."""
    parser = argparse.ArgumentParser(prog="deepen", description="What people do with a ladder besides `dvc repro`.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in _COMMANDS:
        command.add(commands)
    for each in (parser, *(each for each in commands.choices.values() if "-" in each.prefix_chars)):
        each.add_argument("--debug", action="store_true", help="after an error, print its traceback too")
    return parser.parse_args(words)
