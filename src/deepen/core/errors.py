"""Exceptions for invalid input and for interruption, and the formatting of error messages."""

import ast
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

MOST_FAULTS = 20  # printed for one error


class InputError(ValueError):
    """Invalid input: settings, images, a weights file, a device.

    `faults` holds every fault, one sentence each; the message has a line for each. Unprintable characters are escaped,
    and the middle of a long fault is left out.
    """

    def __init__(self, faults: str | Sequence[str]) -> None:
        self.faults = tuple(map(_format_line, (faults,) if isinstance(faults, str) else faults))
        super().__init__("\n".join(self.faults))


class Interrupted(KeyboardInterrupt):
    """The user stopped the program, and its state is saved; the message says how to resume."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code  # the exit code of the process


@contextmanager
def prefix_faults(thing: object) -> Iterator[None]:
    """Prefix every fault of an InputError that is raised inside with the thing that it is about."""
    try:
        yield
    except InputError as error:
        raise InputError([f"{thing}: {fault}" for fault in error.faults]) from error


def format_faults(error: InputError) -> list[str]:
    """Return the lines to print for an error: one for each of its first 20 faults, and how many more there are."""
    return [f"error: {line}" for line in trim(error.faults, MOST_FAULTS)]


def escape_unprintable(text: str) -> str:
    """Return a text on one line: line breaks and other unprintable characters are escaped."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _format_line(fault: str, most: int = 1000) -> str:
    line = escape_unprintable(fault[: 2 * most] if len(fault) <= 2 * most else f"{fault[:most]} ... {fault[-most:]}")
    return line if len(line) <= most else f"{line[: most - 205]} ... {line[-200:]}"


def quote(name: object) -> str:
    """Return a printable name unchanged; quote and escape any other.

    A name that has quotes around it already is escaped too, so that `unquote` gives each name back.
    """
    text = str(name)
    return text if text.isprintable() and not _is_quoted(text) else ascii(text)


def unquote(text: str) -> str:
    """The name of which `quote` made a text."""
    return str(ast.literal_eval(text)) if _is_quoted(text) else text


def _is_quoted(text: str) -> bool:
    return len(text) > 1 and text[0] == text[-1] and text[0] in "'\""


def trim(items: Sequence[str], most: int = 10) -> list[str]:
    """Return the first `most` items and, if there are more, a line that says how many."""
    rest = len(items) - most
    return [*items[:most], *([f"... and {rest} more"] if rest > 0 else [])]


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means out of memory; PyTorch has an exception class for it only on CUDA."""
    text = str(error)
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)
    )
