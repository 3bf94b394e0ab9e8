"""Ctrl-C and SIGTERM while a model trains: its state is kept first, but nobody waits long for that."""

import os
import signal
import socket
import sys
import threading
from types import TracebackType
from typing import Self

from deepen.core.errors import Interrupted

PATIENCE = 4.0  # seconds


class Interruption:
    """A context in which SIGINT and SIGTERM are noted in `asked`, for who looks there between steps.

    If it is not left within 4 seconds, or a second signal comes, the process ends at once, in the midst of what it
    does: what is on disk is whole at any time. Its last message names `model`, and `command` as what goes on with it;
    it can be left out where other processes end alike. Only for the main thread.
    """

    def __init__(self, model: str, command: str = "dvc repro", *, speaks: bool = True) -> None:
        self.asked: signal.Signals | None = None
        self._model, self._command, self._speaks = model, command, speaks

    def check(self, when: str, elsewhere: signal.Signals | None = None) -> None:
        """Raise Interrupted if a signal has come, here or `elsewhere`, to a process that works with this one."""
        if (asked := self.asked or elsewhere) is not None:
            raise Interrupted(self._last_message(when), _exit_code(asked))

    def __enter__(self) -> Self:
        # Python's own handlers wait for the main thread, which may be in a long step; this socket gets them at once.
        self._receiver, self._sender = socket.socketpair()
        self._sender.setblocking(False)
        self._handlers = {number: signal.signal(number, _nothing) for number in (signal.SIGINT, signal.SIGTERM)}
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
            self.asked = signal.Signals(received[0])
            self._receiver.settimeout(PATIENCE)
            try:
                if not self._receiver.recv(1):
                    return
            except TimeoutError:
                pass
            if self._speaks:
                print(
                    self._last_message("in the midst of a step") + ", and repeats the steps since",
                    file=sys.stderr,
                    flush=True,
                )
            os._exit(_exit_code(self.asked))

    def _last_message(self, when: str) -> str:
        return f"{self._model}: stopped {when}; {self._command} goes on from its last checkpoint"


def _exit_code(number: signal.Signals) -> int:
    """As a shell has it for a process that a signal ended."""
    return 128 + number


def _nothing(number: int, frame: object) -> None:
    pass
