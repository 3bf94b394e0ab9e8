"""Ctrl-C while a program still imports its modules: one line and the exit code, with no traceback.

It imports only what each Python process has imported already: a further import could be interrupted too.
"""

import os

# of which `signal` is made: that imports `enum`, which takes 5 ms
from _signal import SIGINT, default_int_handler, getsignal, signal  # type: ignore[import-not-found]

INTERRUPTED = 130  # the exit code that shells use after Ctrl-C


def exit_at_once(number: int, frame: object) -> None:
    """Handle Ctrl-C: an exception would appear as an error of the module that is being imported."""
    try:
        os.write(2, b"interrupted\n")
    finally:
        os._exit(INTERRUPTED)


class ExitAtCtrlC:
    """A context in which Ctrl-C ends the process, unless it has a handler already or this is not the main thread."""

    def __enter__(self) -> None:
        self._before = getsignal(SIGINT)
        if self._before is default_int_handler:
            self._set(exit_at_once)

    def __exit__(self, *error: object) -> None:
        if getsignal(SIGINT) is exit_at_once:
            self._set(self._before)

    @staticmethod
    def _set(handler: object) -> None:
        try:
            signal(SIGINT, handler)
        except ValueError:  # in another thread
            return
