"""A file lock that names the process that holds it."""

import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from deepen.core.files import make_write_error


@contextmanager
def hold_lock(path: Path, on_wait: Callable[[str], object]) -> Iterator[None]:
    """Hold the lock at `path`; if another process holds it, call `on_wait` once with its name, then wait.

    The system releases the lock of a process that ends. Raises InputError if the lock file can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = _acquire(path, on_wait)
    except OSError as error:
        raise make_write_error(path, error) from error
    with file:
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def read_lock_holder(path: Path) -> str | None:
    """Return the name of the process that holds the lock at `path`; None if it is free."""
    try:
        with path.open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read() or "another process, just started"
    except FileNotFoundError:
        return None
    return None


def _acquire(path: Path, on_wait: Callable[[str], object]) -> IO[str]:
    has_waited = False
    while True:
        file = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            if not has_waited:
                on_wait(file.read() or "another process, just started")
            has_waited = True
            fcntl.flock(file, fcntl.LOCK_EX)
        if _is_at(path, file):  # else its last holder has removed the file meanwhile
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
