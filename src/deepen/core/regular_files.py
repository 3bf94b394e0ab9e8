"""Tell files with data from pipes, devices and files of the operating system, which may never end."""

import os
import stat
from contextlib import suppress
from functools import cache
from pathlib import Path

from deepen.core.errors import InputError, quote

SYSTEM = "belongs to the operating system"
_SYSTEM_FOLDERS = ("/proc", "/sys", "/dev")  # not /dev/shm, which is another file system
_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    **dict.fromkeys((stat.S_IFCHR, stat.S_IFBLK), "a device"),
}


def is_of_system(status: os.stat_result) -> bool:
    """Return whether a file or folder is in /proc, /sys or /dev, also under another name."""
    return status.st_dev in _find_system_numbers()


@cache
def _find_system_numbers() -> frozenset[int]:
    """Return the numbers of the file systems that contain no data."""
    numbers = set[int]()
    for folder in _SYSTEM_FOLDERS:
        with suppress(OSError):
            numbers.add(os.stat(folder).st_dev)
    return frozenset(numbers - {os.stat("/").st_dev})


def name_kind(status: os.stat_result) -> str:
    """Return what kind of thing never ends, such as `a pipe`; empty for a file or folder."""
    return _KINDS.get(stat.S_IFMT(status.st_mode), "")


def require_regular(path: Path, remedy: str) -> None:
    """Raise InputError if a path leads to what may never end; a missing file or a folder is reported later."""
    try:
        status = path.stat()
    except OSError:
        return
    kind = name_kind(status)
    if kind or is_of_system(status):
        raise InputError(f"{quote(path)}: {f'is {kind}, not a file' if kind else SYSTEM}; {remedy}")
