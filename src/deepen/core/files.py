"""Atomic file writing: write to a temporary file, flush it to disk, then rename it to its path."""

import errno
import fcntl
import glob
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError

from deepen.core.errors import InputError, quote

T = TypeVar("T")
_ENDING = ".writing"  # suffix of temporary folders
_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free some disk space"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "make its folder writable"),
    **dict.fromkeys((errno.ENOTDIR, errno.EISDIR, errno.EEXIST), "move or remove what is at this path"),
}


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to; that file replaces `path` unless an exception is raised.

    Missing folders are created. An existing file is replaced, never written into: it may be a link to DVC's cache.
    A link is replaced too, and its target stays. Only files are replaced. Once this returns, the file survives a power
    failure. Several processes may write a path at once: the last one wins.
    Raises InputError if the disk is full, the path is not writable, or `path` is not a file.
    """
    try:
        with make_temporary_folder(path) as folder:
            yield folder / path.name
            replace_file(folder / path.name, path)
    except (OSError, SafetensorError) as error:
        raise make_write_error(path, error) from error


@contextmanager
def make_temporary_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`, private to this process; remove those of killed processes.

    Raises OSError, and InputError if `path` can't be replaced.
    """
    validate_target(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    with _make_locked_folder(path) as folder:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def replace_file(temporary: Path, path: Path) -> None:
    """Replace `path` by a finished file on the same disk; raises OSError."""
    validate_target(path)
    _flush(temporary)
    os.replace(temporary, path)
    _flush(path.parent)


def validate_target(path: Path) -> None:
    """Raise InputError unless `path` can be replaced: a file, a link to one, a dangling link, or missing."""
    try:
        mode = path.stat().st_mode
    except OSError:  # missing, or not readable, which writing will report
        return
    device = path.parent.resolve().parts[:2] in (("/", "proc"), ("/", "sys")) or path.parent.resolve() == Path("/dev")
    if device or not stat.S_ISREG(mode):
        kind = next((kind for kind, is_it in _KINDS.items() if is_it(mode)), "a device")
        raise InputError(f"{quote(path)}: is {kind}, only regular files can be replaced; name a file")


_KINDS = {"a folder": stat.S_ISDIR, "a pipe": stat.S_ISFIFO, "a socket": stat.S_ISSOCK}


@contextmanager
def _make_locked_folder(path: Path) -> Iterator[Path]:
    """Create a temporary folder, locked until the context or the process ends."""
    descriptor = None
    while descriptor is None:
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=_ENDING, dir=path.parent))
        descriptor = _lock(folder)
    try:
        yield folder
    finally:
        os.close(descriptor)


def _lock(folder: Path) -> int | None:
    """Lock a new folder; return None if another process has removed it as abandoned."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return None
    with suppress(OSError):  # a file system without locks, where no process removes abandoned folders
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    if folder.exists():
        return descriptor
    os.close(descriptor)
    return None


def _remove_abandoned(path: Path) -> None:
    """Remove the temporary folders for `path` that killed processes left: their locks are free."""
    for folder in path.parent.glob(f".{glob.escape(path.name)}.????????{_ENDING}"):
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)


def _flush(path: Path) -> None:
    """Flush a file, or the entries of a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_write_error(path: Path, error: OSError | SafetensorError) -> InputError:
    """Return the InputError for a file that can't be written, with the reason and a remedy."""
    in_text = re.search(r"\(os error ([0-9]+)\)", str(error))  # safetensors gives the number only in its message
    number = error.errno if isinstance(error, OSError) else int(in_text[1]) if in_text else None
    reason = str(error) if number is None else os.strerror(number)
    remedy = _REMEDIES.get(number or 0, "make the path writable")
    return InputError(f"{quote(path)}: can't be written ({reason}); {remedy} and run it again")


def write_text(path: Path, text: str) -> None:
    """Write a text file, UTF-8, lines ending in a newline character on every system."""
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: object) -> None:
    """Write a value as JSON, one line an entry."""
    write_text(path, json.dumps(value, indent=1) + "\n")


def read_json(path: Path, kind: type[T]) -> T:
    """Read a JSON file as a `kind`; raises InputError if it is missing or invalid."""
    from pydantic import TypeAdapter, ValidationError  # slow to import

    from deepen.core.wording import describe_cause

    try:
        return TypeAdapter(kind).validate_json(path.read_bytes(), strict=True)
    except (OSError, ValidationError) as error:
        raise InputError(f"{path}: invalid file ({describe_cause(error)}); run dvc repro") from error
