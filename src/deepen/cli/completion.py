"""`deepen completion`: print a script with which the Tab key completes commands, options and files in a shell."""

import argparse
from collections.abc import Iterator
from typing import Any

from deepen.cli.arguments import add_command, make_choice_type, parse_file_name, parse_path

_SHELLS = ("bash", "zsh", "tcsh")


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = add_command(
        commands,
        "completion",
        "print a script for the Tab key of a shell",
        "Print a script for bash, zsh or tcsh, with which the Tab key completes the commands of deepen, their options "
        "and the names of files.",
        ['eval "$(deepen completion bash)"    # in ~/.bashrc', "deepen completion zsh > ~/.zsh/_deepen"],
    )
    parser.add_argument("shell", type=make_choice_type(*_SHELLS), metavar="SHELL", help=", ".join(_SHELLS))
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    import shtab

    for action in _list_actions(options.parser):
        if action.type in (parse_path, parse_file_name):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(options.parser, options.shell, root_prefix="deepen"))


def _list_actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the arguments and options of a parser and of its commands."""
    for action in parser._actions:
        yield action
        for command in action.choices.values() if isinstance(action.choices, dict) else ():
            yield from _list_actions(command)
