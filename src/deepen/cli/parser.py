"""The words of the command line, each command's by its own module."""

import argparse
from collections.abc import Sequence

from deepen import __version__
from deepen.cli import (
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
    results,
    settings,
    state,
    watch,
)
from deepen.cli.words import Parser
from deepen.core.errors import plain
from deepen.core.nearest import suggest_name

# Each module adds one command, in the order in which people come to need them; what takes long to import, its `run`
# imports.
_COMMANDS = (
    *(settings, models, exp, watch, results, compare, predict, evaluate),
    *(new, ladder, queue, import_weights, export, checkpoints),
)
_PASSED_ON = ("exp", "ladder")  # whose further words are for dvc exp run


def parse(words: Sequence[str]) -> argparse.Namespace:
    """What the words say: `run` is the command's function, which takes them; raises SystemExit where they are wrong."""
    parser = Parser(
        prog="deepen",
        usage="deepen [COMMAND ...]",
        description="What people do with a ladder of networks besides dvc repro. Without a\n"
        "command: where this project stands, and what comes next.",
        epilog="deepen COMMAND --help explains a command, with examples.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.set_defaults(run=state.tell)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND [...]", prog="deepen", parser_class=Parser)
    for command in _COMMANDS:
        command.add(commands)
    for each in (parser, *(each for each in commands.choices.values() if "-" in each.prefix_chars)):
        each.add_argument("--debug", action="store_true", help="after an error, print its traceback too")
    _check(parser, commands.choices, words)
    options, left = parser.parse_known_args(words)
    if left:
        name = next((word for word in words if word in commands.choices), None)
        (commands.choices[name] if name else parser).error(f"{plain(left[0])[:60]}: one word too many")
    return options


def _check(parser: Parser, commands: dict[str, Parser], words: Sequence[str]) -> None:
    """End with an error for a command or an option that does not exist, which names the nearest that does."""
    at = next((at for at, word in enumerate(words) if not word.startswith("-")), len(words))
    parser.check_options(words[:at])
    name = words[at] if at < len(words) else None
    if name is not None and name not in commands:
        parser.error(f"{plain(name)[:60]}: unknown command" + suggest_name(name, commands))
    if name is not None and name not in _PASSED_ON:
        commands[name].check_options(words[at + 1 :])
