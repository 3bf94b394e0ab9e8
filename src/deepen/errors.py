"""What ends a stage or a command: an error that names the thing, its value, the rule and the remedy; or a signal."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

MOST_FAULTS = 20  # that are printed of one error


class InputError(ValueError):
    """Something that came from outside is wrong: settings, images, a weights file, a device.

    `faults` holds every fault found, one sentence each; the message is all of them, a line each.
    """

    def __init__(self, faults: str | Sequence[str]) -> None:
        self.faults = (faults,) if isinstance(faults, str) else tuple(faults)
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
    """What to print of an error: a printable line for each of its first 20 faults, and how many more there are."""
    lines = [f"error: {printable(fault)}" for fault in error.faults[:MOST_FAULTS]]
    rest = len(error.faults) - MOST_FAULTS
    return [*lines, *([f"error: ... and {rest} more faults"] if rest > 0 else [])]


def printable(text: str) -> str:
    """A text on one line: line ends, control and bidirectional characters and halves of characters are escaped."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def plain(name: object) -> str:
    """A name as it is where that can be printed on a line, else in quotes with what can't escaped."""
    text = str(name)
    return text if text.isprintable() else ascii(text)


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
