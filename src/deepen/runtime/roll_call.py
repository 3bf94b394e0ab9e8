"""Find the ranks that do not respond: after a timeout, every live rank reports, and the others are missing."""

import os
import socket
import time
from datetime import timedelta

from torch.distributed import Store  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous

from deepen.core.errors import InputError

_SECONDS = 5.0  # in which live ranks report after a timeout
_REPORT_SECONDS = 2.0  # in which ranks with the same error report it


def connect_to_store(rank: int) -> Store:
    """Return the store that rank 0 hosts; raises InputError if it can't be reached."""
    try:
        store: Store = next(rendezvous("env://"))[0]
    except RuntimeError as error:
        reason = (str(error).splitlines() or [""])[0][:200]
        raise InputError(
            f"rank {rank}: can't connect to rank 0 ({reason}); see its output, or check MASTER_ADDR and MASTER_PORT"
        ) from error
    return store


class RollCall:
    """Names and reports of the ranks of a group, in the store that rank 0 hosts."""

    def __init__(self, store: Store, rank: int, size: int) -> None:
        self._store, self._rank, self._size = store, rank, size

    def enter(self) -> None:
        """Store this process' name."""
        self._store.set(f"name {self._rank}", f"process {os.getpid()} on {socket.gethostname()}")

    def is_reported(self, message: str) -> bool:
        """Return whether another rank reports the same message; assume so if the store is gone, as rank 0 has ended."""
        try:
            is_first = int(self._store.add(message, 1)) == 1
            end = time.monotonic() + _REPORT_SECONDS  # the store ends with rank 0, so it waits for the others
            while self._rank == 0 and int(self._store.add(message, 0)) < self._size and time.monotonic() < end:
                time.sleep(0.02)
        except RuntimeError:
            return True
        return not is_first

    def find_missing_ranks(self) -> str:
        """Return the ranks that did not report; all live ranks call this at about the same time, after a timeout."""
        missing = set(range(self._size))
        seconds = _SECONDS if self._rank else 2 * _SECONDS  # rank 0 hosts the store, and must be last
        end = time.monotonic() + seconds
        try:
            self._store.set_timeout(timedelta(seconds=_SECONDS))
            self._store.set(f"timed out {self._rank}", "")
            while missing and time.monotonic() < end:
                missing -= {rank for rank in missing if self._store.check([f"timed out {rank}"])}
                time.sleep(0.1)
            names = [self._get_name(rank) for rank in sorted(missing)]
        except RuntimeError:
            names = ["rank 0"]
        return " and ".join(names) or "the network"

    def _get_name(self, rank: int) -> str:
        key = f"name {rank}"
        where = self._store.get(key).decode() if self._store.check([key]) else "which had not joined the group"
        return f"rank {rank} ({where})"
