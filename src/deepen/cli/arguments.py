"""What the commands share: the argument parser, its error messages and help, and common options."""

import argparse
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from deepen.core.errors import escape_unprintable, quote
from deepen.core.names import EMPTY
from deepen.core.nearest import suggest_name

REPORT = Path("reports/index.html")  # in a project
_DEVICE = r"auto|cpu|mps|cuda(:(0|[1-9][0-9]?))?"  # as in params.yaml
_MOST_DIGITS = 18  # of a whole number, which then has 64 bits
_DEVICES = ("auto", "cpu", "mps", "cuda", "cuda:1")


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line each and suggest the nearest valid name."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and the command that shows the help; exit with code 2."""
        message = message.removeprefix("argument ").replace("the following arguments are required:", "missing:")
        message = message.removesuffix(", ...")  # arguments to pass on, which may be empty
        separator = "" if message.endswith("?") else ";"
        self.exit(2, f"error: {escape_unprintable(message)}{separator} see {self.prog} --help\n")

    def check_options(self, arguments: Iterable[str]) -> None:
        """Exit with an error at the first unknown option, before argparse reports missing arguments."""
        known = [name for action in self._actions for name in action.option_strings if name.startswith("--")]
        for argument in arguments:
            if argument == "--":
                return
            name = argument.partition("=")[0]
            if argument.startswith("--") and " " not in name and not any(each.startswith(name) for each in known):
                self.error(f"{quote(name)[:60]}: unknown option" + suggest_name(name, known))


def add_command(
    commands: Any, name: str, help: str, description: str, examples: Sequence[str], *, own_options: bool = True
) -> Parser:
    """Add a command with its summary, description and examples, and return its parser.

    Without `own_options`, the parser takes options as plain arguments, to pass them on.
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


def parse_file_name(text: str) -> str:
    """Return an argument unchanged unless it is empty; the argparse type of file names and patterns."""
    if not text:
        raise argparse.ArgumentTypeError(EMPTY)
    return text


def parse_path(text: str) -> Path:
    """Convert an argument to a path; the argparse type of files and folders."""
    return Path(parse_file_name(text))


def add_project(parser: argparse.ArgumentParser) -> None:
    """Add the option --project."""
    parser.add_argument(
        "--project",
        type=parse_path,
        default=Path(),
        metavar="FOLDER",
        help="the project's folder (default: this folder)",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add the options --device and --precision."""
    parser.add_argument(
        "--device", type=_parse_device, default="auto", help="auto, cpu, mps, cuda or cuda:1 (default: auto)"
    )
    parser.add_argument(
        "--precision",
        type=make_choice_type("auto", "float32", "bfloat16"),
        default="auto",
        metavar="PRECISION",
        help="auto, float32 or bfloat16; auto takes bfloat16 on GPUs that multiply it, else float32, whatever the "
        "training had (default: auto)",
    )


def _parse_device(text: str) -> str:
    if not re.fullmatch(_DEVICE, text):
        raise argparse.ArgumentTypeError(
            f"must be one of auto, cpu, mps, cuda and cuda:<number>, got {quote(text)[:60]!r}"
            + suggest_name(text, _DEVICES)
        )
    return text


def make_choice_type(*known: str) -> Callable[[str], str]:
    """Return an argparse type that accepts only these values."""

    def parse_choice(text: str) -> str:
        if text not in known:
            raise argparse.ArgumentTypeError(
                f"must be one of {', '.join(known)}, got {quote(text)[:60]!r}" + suggest_name(text, known)
            )
        return text

    return parse_choice


class _JoinSettings(argparse.Action):
    """Join the values of an option that is repeated."""

    def __call__(self, parser: argparse.ArgumentParser, options: argparse.Namespace, *values: Any) -> None:
        earlier = getattr(options, self.dest)
        setattr(options, self.dest, values[0] if earlier is None else f"{earlier} {values[0]}")


def add_changes(parser: argparse.ArgumentParser, text: str) -> None:
    """Add the option --changes, whose value is None without it; repeated, it adds more settings."""
    parser.add_argument("--changes", metavar="SETTINGS", action=_JoinSettings, help=text)


def parse_whole_number(text: str) -> int:
    """Convert an option's value to an integer; the argparse type of whole numbers."""
    if not re.fullmatch(r"-?[0-9]+", text):
        raise argparse.ArgumentTypeError(f"must be a whole number, got {quote(text)[:60]!r}")
    if len(text) > _MOST_DIGITS:
        raise argparse.ArgumentTypeError(f"must have at most {_MOST_DIGITS} digits, got {quote(text)[:60]!r}")
    return int(text)
