"""Graceful shutdown: on SIGINT or SIGTERM, training saves a checkpoint and exits within seconds."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from deepen.core.errors import Interrupted

GRACE_SECONDS = 4.0  # seconds


class Interruption:
    """A context that records SIGINT and SIGTERM in `received`, for the training loop to check between steps.

    If the context does not end within 4 seconds, or a second signal comes, the process exits at once: files on disk are
    complete at any time. The last message names the `model` and the `command` that resumes it, or, unless it
    `can_resume`, starts it again; it is printed if `speaks`, for one of several processes. Only for the main thread.
    """

    def __init__(
        self,
        model: str,
        command: str = "dvc repro",
        *,
        speaks: bool = True,
        can_resume: Callable[[], bool] = lambda: True,
    ) -> None:
        self.received: signal.Signals | None = None
        self._model, self._command, self._speaks, self._can_resume = model, command, speaks, can_resume

    def check(self, when: str, elsewhere: signal.Signals | None = None) -> None:
        """Raise Interrupted if a signal came to this process or, `elsewhere`, to another of its group."""
        if (received := self.received or elsewhere) is not None:
            raise Interrupted(self._format_message(when), _get_exit_code(received))

    def __enter__(self) -> Self:
        # Python runs handlers in the main thread, which may be in a long step; this socket gets signals at once.
        self._receiver, self._sender = socket.socketpair()
        self._sender.setblocking(False)
        self._handlers = {number: signal.signal(number, _ignore_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        self._descriptor = signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(self._descriptor)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._sender.close()

    def _listen(self) -> None:
        with self._receiver:
            if not (received := self._receiver.recv(1)):
                return
            self.received = signal.Signals(received[0])
            self._receiver.settimeout(GRACE_SECONDS)
            try:
                if not self._receiver.recv(1):
                    return
            except TimeoutError:
                pass
            if self._speaks:
                message = self._format_message("during a step", " and repeats the steps since")
                print(message, file=sys.stderr, flush=True)
            os._exit(_get_exit_code(self.received))

    def _format_message(self, when: str, repeats: str = "") -> str:
        if not self._can_resume():
            return (
                f"{self._model}: stopped {when}, before its first checkpoint; {self._command} trains it from the start"
            )
        return f"{self._model}: stopped {when}; {self._command} resumes from its last checkpoint{repeats}"


def _get_exit_code(number: signal.Signals) -> int:
    """Return the exit code that shells use for a process that a signal ended."""
    return 128 + number


def _ignore_signal(number: int, frame: object) -> None:
    pass
