"""Walk a folder of images and read its files, with limits; shared by data sets, commands and fingerprints."""

import os
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from deepen.core.errors import InputError, quote
from deepen.core.regular_files import SYSTEM, is_of_system
from deepen.datasets.clutter import is_clutter
from deepen.decoding.formats import HEAD_BYTES, require_supported

MOST_FILE_BYTES = 1 << 28


class Entry(NamedTuple):
    """A file or folder below a root.

    `read(n)` returns the first n bytes of a file, `read(None)` all; it is None for a folder. It raises ValueError or
    OSError as `read_image_file` does, and InputError for a damaged archive.
    """

    path: PurePosixPath
    read: Callable[[int | None], bytes] | None


def is_folder(root: Path) -> bool:
    """Return whether a root is a folder, not a file; raises InputError if it is missing, unreadable or neither.

    Folders of the operating system are refused too: they have no images, and change while they are read.
    """
    try:
        status = root.stat()
    except OSError as error:
        if isinstance(error, (FileNotFoundError, NotADirectoryError)):
            raise InputError(
                f"{root}: no such file or directory; set root to a folder or an archive with train/<class>/*"
            ) from error
        raise InputError(f"{root}: can't be read ({error.strerror}); make it readable, or set another root") from error
    if not (stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode)):
        raise InputError(f"{root}: is neither a folder nor an archive; name one with train/<class>/*")
    if is_of_system(status):
        raise InputError(f"{root}: {SYSTEM}; name a folder or an archive with train/<class>/*")
    return stat.S_ISDIR(status.st_mode)


def read_folder(root: Path, faults: list[str]) -> Iterator[Entry]:
    """Yield each folder and file below a folder, in the order of `list_folder`."""
    for below, file in list_folder(root, faults):
        yield Entry(PurePosixPath(below), None if file is None else partial(read_file, file.path))


def list_folder(root: Path, faults: list[str]) -> Iterator[tuple[str, "os.DirEntry[str] | None"]]:
    """Yield the path below `root` of each folder (with None) and file (with its entry), except clutter.

    Folders come before their files, sorted by name. Links are followed. A folder that can't be listed, or that a link
    leads to a second time, is reported in `faults`, and its files are not yielded.
    """
    seen: dict[tuple[int, int], str] = {}
    todo = [""]
    while todo:
        below = todo.pop()
        try:
            entries = _scan_folder(root, below, seen)
        except OSError as error:
            shown = quote(below) or "the folder itself"
            faults.append(f"{shown}: can't be listed ({error.strerror}); make it readable or move it away")
            continue
        except ValueError as error:
            faults.append(f"{quote(below)}: {error}")
            continue
        yield below, None
        folders = []
        for entry in entries:
            path = f"{below}/{entry.name}" if below else entry.name
            if _is_folder_entry(entry):
                folders.append(path)
            else:
                yield path, entry
        todo += reversed(folders)


def _scan_folder(root: Path, below: str, seen: dict[tuple[int, int], str]) -> list["os.DirEntry[str]"]:
    """Return a folder's entries except clutter, sorted; raises OSError, and ValueError if `seen` or not data."""
    status = os.stat(root / below)
    if is_of_system(status):
        raise ValueError(f"{SYSTEM}; name another folder, or remove the link to it")
    first = seen.setdefault((status.st_dev, status.st_ino), below)
    if first != below:
        raise ValueError(f"is a link to the same folder as {quote(first) or 'the root'}; remove the link")
    with os.scandir(root / below) as entries:
        return sorted((entry for entry in entries if not is_clutter(entry.name)), key=lambda entry: entry.name)


def _is_folder_entry(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link loop or a denied permission: reported when it is read
        return False


def read_image_file(path: Path) -> bytes:
    """Return the bytes of an image file.

    Raises OSError, and ValueError for a device or pipe (which might never end), a file that is too large, or an
    unsupported format.
    """
    content = read_file(path)
    require_supported(path.name, content[:HEAD_BYTES])
    return content


def read_file(path: Path | str, size: int | None = None) -> bytes:
    """Return the first `size` bytes of a file, or all; raises OSError, and ValueError for what may not end."""
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is not a regular file")
    if is_of_system(status):
        raise ValueError(f"it {SYSTEM}")
    if size is None and status.st_size > MOST_FILE_BYTES:
        raise ValueError(f"it has {status.st_size:,} bytes; the limit is {MOST_FILE_BYTES:,}")
    with open(path, "rb") as file:
        return file.read(-1 if size is None else size)
