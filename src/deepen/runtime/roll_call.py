"""Which processes of a group do not answer: those that gave up waiting say so, and the others are named."""

import os
import socket
import time
from datetime import timedelta

from torch.distributed import Store  # type: ignore[attr-defined]

_SECONDS = 5.0  # in which those who gave up say so


class RollCall:
    """What the processes of a group leave for each other in the store that the first of them keeps."""

    def __init__(self, store: Store, rank: int, size: int) -> None:
        self._store, self._rank, self._size = store, rank, size

    def enter(self) -> None:
        """Leave this process' name."""
        self._store.set(f"who {self._rank}", f"process {os.getpid()} on {socket.gethostname()}")

    def is_told(self, words: str) -> bool:
        """Whether another process says the same already; it has where the store is gone, which was the first one's."""
        try:
            return int(self._store.add(words, 1)) > 1
        except RuntimeError:
            return True

    def silent(self) -> str:
        """Give up, and name those who do not: all who still run do so at about the same time."""
        silent = set(range(self._size))
        seconds = _SECONDS if self._rank else 2 * _SECONDS  # the first one's store outlasts the call
        end = time.monotonic() + seconds
        try:
            self._store.set_timeout(timedelta(seconds=_SECONDS))
            self._store.set(f"gave up {self._rank}", "")
            while silent and time.monotonic() < end:
                silent -= {rank for rank in silent if self._store.check([f"gave up {rank}"])}
                time.sleep(0.1)
            names = [f"rank {rank} ({self._store.get(f'who {rank}').decode()})" for rank in sorted(silent)]
        except RuntimeError:
            names = ["rank 0"]
        return " and ".join(names) or "the network"
