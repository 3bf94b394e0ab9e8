"""What ends a stage: an error that names the thing, its value, the rule and the remedy; or someone's wish."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager


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


def plain(name: object) -> str:
    """A name as it is where that can be printed on a line, else in quotes with what can't escaped."""
    text = str(name)
    return text if text.isprintable() else ascii(text)


def some(items: Sequence[str], most: int = 10) -> list[str]:
    """The first `most` items and, where there are more, a line that says how many."""
    rest = len(items) - most
    return [*items[:most], *([f"... and {rest} more like these"] if rest > 0 else [])]
