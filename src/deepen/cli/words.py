"""What the commands' words have in common: how help and errors look, and options that several commands take."""

import argparse
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from deepen.core.errors import InputError, escape_unprintable, plain
from deepen.core.nearest import suggest_name

REPORT = Path("reports/index.html")  # of a project
_DEVICE = r"auto|cpu|mps|cuda(:(0|[1-9][0-9]?))?"  # as params.yaml has it
_DEVICES = ("auto", "cpu", "mps", "cuda", "cuda:1")


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line each, with the nearest right word."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the words and how to see the right ones; exits with code 2."""
        message = message.removeprefix("argument ").replace("the following arguments are required:", "missing:")
        message = message.removesuffix(", ...")  # words that are passed on, of which there may be none
        self.exit(
            2,
            f"error: {escape_unprintable(message)}{'' if message.endswith('?') else ';'} {self.prog} --help explains\n",
        )

    def check_options(self, words: Iterable[str]) -> None:
        """End with an error where a word looks like an option and isn't one, before others are taken for missing."""
        known = [name for action in self._actions for name in action.option_strings if name.startswith("--")]
        for word in words:
            if word == "--":
                return
            name = word.partition("=")[0]
            if word.startswith("--") and " " not in name and not any(each.startswith(name) for each in known):
                self.error(f"{plain(name)[:60]}: unknown option" + suggest_name(name, known))


def add_command(
    commands: Any, name: str, help: str, description: str, examples: Sequence[str], *, own_options: bool = True
) -> Parser:
    """A command's parser: its line in the list of commands, its description, and examples that work as they are.

    Without `own_options` all words that look like options are left to the command itself.
    """
    only = {} if own_options else {"prefix_chars": "\0", "add_help": False}
    parser: Parser = commands.add_parser(
        name,
        help=help,
        description=textwrap.fill(description, 78, break_on_hyphens=False),
        epilog="examples:\n" + "\n".join(f"  {example}" for example in examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        **only,
    )
    return parser


def add_project(parser: argparse.ArgumentParser) -> None:
    """Add the option that says which project is meant."""
    parser.add_argument("--project", type=Path, default=Path(), metavar="FOLDER", help="default: this folder")


def require_project(folder: Path) -> None:
    """Raise InputError where a folder is not that of a project."""
    where = "this folder" if folder == Path() else f"--project {plain(folder)}"
    remedy = "run the command in the folder of your clone of Deepen, or name that with --project"
    if not folder.exists():
        raise InputError(f"{where}: no such folder; {remedy}")
    if not folder.is_dir():
        raise InputError(f"{where}: is a file and not a folder; {remedy}")
    if not (folder / "params.yaml").is_file():
        raise InputError(f"{where}: has no params.yaml, so it is not a project of Deepen; {remedy}")


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add the option that says where to compute."""
    parser.add_argument("--device", type=_device, default="auto", help="auto, cpu, mps, cuda or cuda:1 (default: auto)")


def _device(text: str) -> str:
    if not re.fullmatch(_DEVICE, text):
        raise argparse.ArgumentTypeError(
            f"must be one of auto, cpu, mps, cuda and cuda:<number>, got {plain(text)[:60]!r}"
            + suggest_name(text, _DEVICES)
        )
    return text


def one_of(*known: str) -> Callable[[str], str]:
    """The type of an option that takes one of these words."""

    def word(text: str) -> str:
        if text not in known:
            raise argparse.ArgumentTypeError(
                f"must be one of {', '.join(known)}, got {plain(text)[:60]!r}" + suggest_name(text, known)
            )
        return text

    return word


def whole_number(text: str) -> int:
    """The type of an option that takes a whole number."""
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise argparse.ArgumentTypeError(f"must be a whole number, got {plain(text)[:60]!r}")
    return int(text)
