"""The images below a folder or in an archive, by one rule for training, `deepen evaluate` and `deepen predict`.

A file is an image if its name ends as one or its first bytes are those of one; what then can't be read is an error.
Other files are skipped, counted and named; so are hidden images. Clutter is skipped without a word.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from deepen.core.errors import InputError, plain
from deepen.datasets.archive_names import composed
from deepen.datasets.archives import read_archive
from deepen.datasets.clutter import is_clutter, is_resource_fork
from deepen.datasets.files import Entry, is_folder, read_folder
from deepen.decoding.formats import HEAD_BYTES, find_format_by_head, find_format_by_name, require_supported

PathParts = tuple[str, ...]  # of a path below the root, composed
_TOLD, _KEPT = 3, 10  # names of skipped files


class Found(NamedTuple):
    """An image, or a folder, which has nothing to read; its path as it is stored, and the composed parts of that."""

    path: PurePosixPath
    parts: PathParts
    read: Callable[[], bytes] | None


@dataclass
class Skipped:
    """Files that were skipped: how many, and the first of them."""

    what: str
    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, path: PurePosixPath) -> None:
        """Take note of one."""
        self.count += 1
        if len(self.first) < _KEPT:
            self.first.append(plain(path))

    def told(self) -> list[str]:
        """A sentence, where there is any."""
        if not self.count:
            return []
        one = self.count == 1
        more = ", ..." if self.count > _TOLD else ""
        what = self.what.format(s="" if one else "s", are="is" if one else "are", an="an " if one else "")
        return [f"skipped {self.count:,} {what}: {', '.join(self.first[:_TOLD])}{more}"]


class Walk:
    """Goes through a root once, and knows at the end what was skipped and what could not be listed (`faults`)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.faults: list[str] = []
        self.others = Skipped("file{s} that {are} not {an}image{s}")
        self.hidden = Skipped("hidden image{s}, whose own or folder's name starts with a dot")
        self.hidden_folders: set[PathParts] = set()  # those that hold images
        self._stored: dict[PathParts, PurePosixPath] = {}

    def __iter__(self) -> Iterator[Found]:
        """Each image and folder that is neither hidden nor clutter; raises InputError for a broken or unknown root."""
        for entry in _entries(self.root, self.faults):
            parts = tuple(map(composed, entry.path.parts))
            if any(map(is_clutter, parts)):
                continue
            self._must_be_one(parts if entry.read is None else parts[:-1], entry)
            if any(part.startswith(".") for part in parts):
                self._note_hidden(parts, entry)
            elif entry.read is None:
                yield Found(entry.path, parts, None)
            elif parts and _is_image(parts[-1], partial(entry.read, HEAD_BYTES)):
                yield Found(entry.path, parts, partial(_content, entry.read, parts[-1]))
            else:
                self.others.add(entry.path)
                yield Found(entry.path.parent, parts[:-1], None)  # which an archive need not have by itself

    @property
    def notes(self) -> list[str]:
        """What was skipped, a sentence each kind."""
        return self.others.told() + self.hidden.told()

    def _must_be_one(self, folder: PathParts, entry: Entry) -> None:
        """Add a fault for a folder that is stored under two names which are one once composed."""
        if str(entry.path).isascii():
            return
        stored = entry.path if entry.read is None else entry.path.parent
        first = self._stored.setdefault(folder, stored)
        if first != stored:
            self._stored[folder] = stored
            self.faults.append(
                f"{plain(stored)}: two folders have this name, with accents composed and decomposed; merge them"
            )

    def _note_hidden(self, parts: PathParts, entry: Entry) -> None:
        if entry.read is None or not _is_hidden_image(parts[-1], partial(entry.read, HEAD_BYTES)):
            return
        self.hidden.add(entry.path)
        at = next(at for at, part in enumerate(parts) if part.startswith("."))
        if at < len(parts) - 1:
            self.hidden_folders.add(parts[: at + 1])


def _entries(root: Path, faults: list[str]) -> Iterator[Entry]:
    return read_folder(root, faults) if is_folder(root) else read_archive(root)


def _content(read: Callable[[int | None], bytes], name: str) -> bytes:
    """What an image file holds; raises ValueError where its format is not read."""
    content = read(None)
    require_supported(name, content[:HEAD_BYTES])
    return content


def _is_image(name: str, head: Callable[[], bytes]) -> bool:
    """Whether a file is to be read; also where nobody knows, so that it is an error."""
    if find_format_by_name(name):
        return True
    start = _start(head)
    return start is None or find_format_by_head(start) is not None


def _is_hidden_image(name: str, head: Callable[[], bytes]) -> bool:
    if not find_format_by_name(name):
        return False
    return not (name.startswith("._") and is_resource_fork(_start(head) or b""))


def _start(head: Callable[[], bytes]) -> bytes | None:
    """The first bytes of a file; nothing of a pipe or a device, and None where they can't be read."""
    try:
        return head()
    except InputError:
        raise
    except ValueError:
        return b""
    except OSError:
        return None
