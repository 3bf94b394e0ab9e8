"""What ends a stage or a command: an error that names the thing, its value, the rule and the remedy; or a signal."""

import ast
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

MOST_FAULTS = 20  # that are printed of one error


class InputError(ValueError):
    """Something that came from outside is wrong: settings, images, a weights file, a device.

    `faults` holds every fault found, one sentence each; the message is all of them, a line each. What of a fault can't
    be printed is escaped, and of one that is too long for a line the middle is left out.
    """

    def __init__(self, faults: str | Sequence[str]) -> None:
        self.faults = tuple(map(_line, (faults,) if isinstance(faults, str) else faults))
        super().__init__("\n".join(self.faults))


class Interrupted(KeyboardInterrupt):
    """Someone asked for the end, and what was done is kept; the message says how to go on."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code  # for the process to exit with


@contextmanager
def about(thing: object) -> Iterator[None]:
    """Every fault told inside opens with what it is about."""
    try:
        yield
    except InputError as error:
        raise InputError([f"{thing}: {fault}" for fault in error.faults]) from error


def fault_lines(error: InputError) -> list[str]:
    """What to print of an error: a line for each of its first 20 faults, and how many more there are."""
    return [f"error: {line}" for line in some(error.faults, MOST_FAULTS)]


def printable(text: str) -> str:
    """A text on one line: line ends, escape sequences and all else that can't be printed become escapes."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _line(fault: str, most: int = 1000) -> str:
    line = printable(fault[: 2 * most] if len(fault) <= 2 * most else f"{fault[:most]} ... {fault[-most:]}")
    return line if len(line) <= most else f"{line[: most - 205]} ... {line[-200:]}"


def plain(name: object) -> str:
    """A name as it is where that can be printed on a line, else in quotes with what can't escaped.

    A name that has quotes around it already is escaped too, so that `parse_plain` gives each name back.
    """
    text = str(name)
    return text if text.isprintable() and not _is_quoted(text) else ascii(text)


def parse_plain(text: str) -> str:
    """The name of which `plain` made a text."""
    return str(ast.literal_eval(text)) if _is_quoted(text) else text


def _is_quoted(text: str) -> bool:
    return len(text) > 1 and text[0] == text[-1] and text[0] in "'\""


def some(items: Sequence[str], most: int = 10) -> list[str]:
    """The first `most` items and, where there are more, a line that says how many."""
    rest = len(items) - most
    return [*items[:most], *([f"... and {rest} more like these"] if rest > 0 else [])]


def lacks_memory(error: BaseException) -> bool:
    """Whether an error says that there is too little memory; PyTorch has a class of its own for it on CUDA alone."""
    text = str(error)
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)
    )
