"""Files that are whole or not there: written beside their place, flushed to disk, then renamed into it."""

import errno
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from deepen.errors import InputError

_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free some space there"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "make its folder writable"),
    **dict.fromkeys((errno.ENOTDIR, errno.EISDIR, errno.EEXIST), "move away what is in its place"),
}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to; what it holds takes the place of `path` if nothing went wrong.

    Folders are made as needed. A file that was there is replaced, never written into: it may be a link to DVC's cache.
    Once this returns, the file outlasts a loss of power. One process at a time may write a path; what one that was
    killed left beside it goes. Raises InputError where the disk is full or does not let itself be written.
    """
    room = path.with_name(f".{path.name}.writing")
    temporary = room / path.name
    try:
        shutil.rmtree(room, ignore_errors=True)
        room.mkdir(parents=True)
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
        _flush(path.parent)
    except (OSError, SafetensorError) as error:
        raise cannot_write(path, error) from error
    finally:
        shutil.rmtree(room, ignore_errors=True)


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
    return InputError(f"{path}: can't be written ({reason}); {remedy} and run dvc repro again")


def write_text(path: Path, text: str) -> None:
    """Write a text file, UTF-8, lines ending in a newline character on every system."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: object) -> None:
    """Write a value as JSON, one line an entry."""
    write_text(path, json.dumps(value, indent=1) + "\n")
