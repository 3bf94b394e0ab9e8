"""Files that are whole or not there: written beside their place, flushed to disk, then renamed into it."""

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

from deepen.core.errors import InputError, plain

T = TypeVar("T")
_ENDING = ".writing"  # of the names of temporary folders
_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free some space there"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "make its folder writable"),
    **dict.fromkeys((errno.ENOTDIR, errno.EISDIR, errno.EEXIST), "move away what is in its place"),
}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to; what it holds takes the place of `path` if nothing went wrong.

    Folders are made as needed. A file that was there is replaced, never written into: it may be a link to DVC's cache.
    So a link is replaced too, and the file that it points to stays. Nothing but files is ever replaced. Once this
    returns, the file outlasts a loss of power. Several processes may write a path at once: that of the last stays.
    Raises InputError where the disk is full, does not let itself be written, or has another thing than a file there.
    """
    try:
        with folder_beside(path) as folder:
            yield folder / path.name
            put(folder / path.name, path)
    except (OSError, SafetensorError) as error:
        raise cannot_write(path, error) from error


@contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """Give a temporary folder on the disk of `path`, for this process alone; those of killed processes are removed.

    Raises OSError, and InputError where `path` can't be replaced.
    """
    _must_be_replaceable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    with _locked_folder(path) as folder:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def put(temporary: Path, path: Path) -> None:
    """Have a file that is written take the place of `path`, on the same disk; raises OSError."""
    _must_be_replaceable(path)
    _flush(temporary)
    os.replace(temporary, path)
    _flush(path.parent)


def _must_be_replaceable(path: Path) -> None:
    """Raise InputError unless `path` is a file, a link to one, a link to nothing, or nothing."""
    try:
        mode = path.stat().st_mode
    except OSError:  # nothing is at that path, or what writes there will find out why not
        return
    device = path.parent.resolve().parts[:2] in (("/", "proc"), ("/", "sys")) or path.parent.resolve() == Path("/dev")
    if device or not stat.S_ISREG(mode):
        kind = next((kind for kind, is_it in _KINDS.items() if is_it(mode)), "a device")
        raise InputError(f"{plain(path)}: is {kind}, and only files are replaced; name a file")


_KINDS = {"a folder": stat.S_ISDIR, "a pipe": stat.S_ISFIFO, "a socket": stat.S_ISSOCK}


@contextmanager
def _locked_folder(path: Path) -> Iterator[Path]:
    """Make a temporary folder, and hold a lock on it that ends with the process."""
    descriptor = None
    while descriptor is None:
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=_ENDING, dir=path.parent))
        descriptor = _lock(folder)
    try:
        yield folder
    finally:
        os.close(descriptor)


def _lock(folder: Path) -> int | None:
    """Lock a new folder; None where another process took it for abandoned before."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return None
    with suppress(OSError):  # a file system without locks: then nobody takes the folder for abandoned either
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    if folder.exists():
        return descriptor
    os.close(descriptor)
    return None


def _remove_abandoned(path: Path) -> None:
    """Remove the temporary folders for `path` of processes that were killed: nobody holds their locks."""
    for folder in path.parent.glob(f".{glob.escape(path.name)}.????????{_ENDING}"):
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)


def _flush(path: Path) -> None:
    """Have the disk hold what is in a file, or which files are in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def cannot_write(path: Path, error: OSError | SafetensorError) -> InputError:
    """What to tell of a file that could not be written."""
    in_text = re.search(r"\(os error ([0-9]+)\)", str(error))  # safetensors has the number in its message alone
    number = error.errno if isinstance(error, OSError) else int(in_text[1]) if in_text else None
    reason = str(error) if number is None else os.strerror(number)
    remedy = _REMEDIES.get(number or 0, "see that it can be written")
    return InputError(f"{plain(path)}: can't be written ({reason}); {remedy} and run it again")


def write_text(path: Path, text: str) -> None:
    """Write a text file, UTF-8, lines ending in a newline character on every system."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: object) -> None:
    """Write a value as JSON, one line an entry."""
    write_text(path, json.dumps(value, indent=1) + "\n")


def read_json(path: Path, kind: type[T]) -> T:
    """What a JSON file of this project holds, as a `kind`; raises InputError where the file is not that."""
    from pydantic import TypeAdapter, ValidationError  # which takes longer to import than most files to write

    try:
        return TypeAdapter(kind).validate_json(path.read_bytes(), strict=True)
    except (OSError, ValidationError) as error:
        reason = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())[:200]
        raise InputError(f"{path}: is not what this project writes there ({reason}); run dvc repro") from error
