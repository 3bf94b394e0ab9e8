"""One process at a time: a lock that says who holds it, and waits."""

import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from deepen.core.files import cannot_write


@contextmanager
def locked(path: Path, waiting: Callable[[str], object]) -> Iterator[None]:
    """Hold the lock at `path`; while another process does, call `waiting` once with who that is, and wait.

    The system frees the lock of a process that ends in any way. Raises InputError where there can be no such file.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = _take(path, waiting)
    except OSError as error:
        raise cannot_write(path, error) from error
    with file:
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def holder(path: Path) -> str | None:
    """Who holds the lock at `path`; None where nobody does."""
    try:
        with path.open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read() or "another process"
    except FileNotFoundError:
        return None
    return None


def _take(path: Path, waiting: Callable[[str], object]) -> IO[str]:
    told = False
    while True:
        file = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            if not told:
                waiting(file.read() or "another process")
            told = True
            fcntl.flock(file, fcntl.LOCK_EX)
        if _is_at(path, file):  # and not a file that its last holder has removed meanwhile
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}, since {time.strftime('%Y-%m-%d %H:%M')}")
            file.flush()
            return file
        file.close()


def _is_at(path: Path, file: IO[str]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
