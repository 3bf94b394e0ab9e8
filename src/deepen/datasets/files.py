"""What lies below a folder: one way to go through it, for all that read images and for what watches them."""

import os
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from deepen.core.errors import InputError, plain
from deepen.datasets.clutter import is_clutter
from deepen.decoding.formats import HEAD_BYTES, require_supported

MOST_FILE_BYTES = 1 << 28


class Entry(NamedTuple):
    """A file or folder below a root.

    `read(n)` gives the first n bytes of a file, `read(None)` all; a folder has none. It raises ValueError or OSError as
    `read_plain` does, and InputError where an archive is broken.
    """

    path: PurePosixPath
    read: Callable[[int | None], bytes] | None


def is_folder(root: Path) -> bool:
    """Whether a root is a folder and not a file; raises InputError where it is neither, or nobody may look."""
    try:
        found = root.stat()
    except OSError as error:
        if isinstance(error, (FileNotFoundError, NotADirectoryError)):
            raise _no_root(root) from error
        raise InputError(f"{root}: can't be read ({error.strerror}); make it readable, or set another root") from error
    if not (stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode)):
        raise _no_root(root)
    return stat.S_ISDIR(found.st_mode)


def _no_root(root: Path) -> InputError:
    return InputError(f"{root}: is neither a directory nor an archive; set root to one that holds train/<class>/*")


def read_folder(root: Path, faults: list[str]) -> Iterator[Entry]:
    """Each folder and file below a folder, as `list_folder` has them."""
    for below, file in list_folder(root, faults):
        yield Entry(PurePosixPath(below), None if file is None else partial(_read, file.path))


def list_folder(root: Path, faults: list[str]) -> Iterator[tuple[str, "os.DirEntry[str] | None"]]:
    """Yield the path below `root` of each folder and file but clutter; a folder comes with None, and before its files.

    The order is that of names. Links are followed. A folder that can't be listed, or that is reached twice, by a link,
    is added to `faults` as a sentence, and what it holds is not yielded.
    """
    seen: dict[tuple[int, int], str] = {}
    todo = [""]
    while todo:
        below = todo.pop()
        try:
            entries = _listed(root, below, seen)
        except OSError as error:
            shown = plain(below) or "the folder itself"
            faults.append(f"{shown}: can't be listed ({error.strerror}); make it readable or move it away")
            continue
        except ValueError as error:
            faults.append(f"{plain(below)}: {error}; remove the link")
            continue
        yield below, None
        folders = []
        for entry in entries:
            path = f"{below}/{entry.name}" if below else entry.name
            if _leads_to_folder(entry):
                folders.append(path)
            else:
                yield path, entry
        todo += reversed(folders)


def _listed(root: Path, below: str, seen: dict[tuple[int, int], str]) -> list["os.DirEntry[str]"]:
    """What a folder has but clutter, by name; raises OSError, and ValueError where it was `seen` at another path."""
    found = os.stat(root / below)
    first = seen.setdefault((found.st_dev, found.st_ino), below)
    if first != below:
        raise ValueError(f"is a link to the same folder as {plain(first) or 'the root'}")
    with os.scandir(root / below) as entries:
        return sorted((entry for entry in entries if not is_clutter(entry.name)), key=lambda entry: entry.name)


def _leads_to_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle, or where nobody may look: told where it is read
        return False


def read_plain(path: Path) -> bytes:
    """What an image file holds.

    Raises ValueError where it is a device or a pipe, which might never end, too large, or in a format that is not
    read; OSError.
    """
    content = _read(path, None)
    require_supported(path.name, content[:HEAD_BYTES])
    return content


def _read(path: Path | str, size: int | None) -> bytes:
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is not a plain file")
    if size is None and found.st_size > MOST_FILE_BYTES:
        raise ValueError(f"it has {found.st_size:,} bytes, at most {MOST_FILE_BYTES:,} are taken")
    with open(path, "rb") as file:
        return file.read(-1 if size is None else size)
