"""The command-line parser of `deepen`, which joins the parsers of all commands."""

import argparse
from collections.abc import Sequence

from deepen import __version__
from deepen.cli import (
    baseline,
    card,
    checkpoints,
    compare,
    completion,
    dag,
    evaluate,
    exp,
    export,
    import_weights,
    init,
    ladder,
    models,
    new,
    predict,
    queue,
    results,
    search,
    seeds,
    settings,
    state,
    watch,
)
from deepen.cli.arguments import Parser
from deepen.core.errors import quote
from deepen.core.nearest import suggest_name

# Modules with one command each, in the order of use. Each imports slow packages in its `run`.
_COMMANDS = (
    *(settings, models, exp, search, watch, results, compare, seeds, baseline, predict, evaluate),
    *(init, new, ladder, queue, import_weights, export, card, checkpoints, dag, completion),
)
_PASSED_ON = ("exp", "ladder")  # commands that pass further arguments to dvc exp run


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; `run` is the command's function, to call with the result.

    Raises SystemExit if an argument is invalid.
    """
    parser, commands = _make_parser()
    _check_names(parser, commands, arguments)
    options, left = parser.parse_known_args(arguments)
    if left:
        name = next((argument for argument in arguments if argument in commands), None)
        (commands[name] if name else parser).error(f"{quote(left[0])[:60]}: unexpected argument")
    options.parser = parser  # of which completion writes a script
    return options


def _make_parser() -> tuple[Parser, dict[str, Parser]]:
    """Return the parser, and the parsers of its commands by name."""
    parser = Parser(
        prog="deepen",
        usage="deepen [COMMAND ...]",
        description="Grow deeper networks from trained shallower ones, beside dvc repro.\n"
        "Without a command: show the project's state and suggest the next command.",
        epilog="deepen COMMAND --help describes a command, with examples.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.set_defaults(run=state.print_state)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND [...]", prog="deepen", parser_class=Parser)
    for command in _COMMANDS:
        command.add(commands)
    for each in (parser, *(each for each in commands.choices.values() if "-" in each.prefix_chars)):
        each.add_argument("--debug", action="store_true", help="print the traceback of an error too")
    return parser, commands.choices


def _check_names(parser: Parser, commands: dict[str, Parser], arguments: Sequence[str]) -> None:
    """Exit with an error if the command or an option is unknown, with the nearest known name."""
    at = next((at for at, argument in enumerate(arguments) if not argument.startswith("-")), len(arguments))
    parser.check_options(arguments[:at])
    name = arguments[at] if at < len(arguments) else None
    if name is not None and name not in commands:
        parser.error(f"{quote(name)[:60]}: unknown command" + suggest_name(name, commands))
    if name is not None and name not in _PASSED_ON:
        commands[name].check_options(arguments[at + 1 :])
