"""Find the images below a folder or in an archive, by the same rules for training, evaluation and prediction.

A file is an image by its extension or its first bytes; an unreadable image is an error. Other files and hidden images
are skipped and reported. Clutter is ignored silently.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from deepen.core.errors import InputError, quote
from deepen.core.wording import describe_cause
from deepen.datasets.archive_names import normalize_nfc
from deepen.datasets.archives import read_archive
from deepen.datasets.clutter import is_clutter, is_resource_fork
from deepen.datasets.files import Entry, is_folder, read_folder
from deepen.decoding.formats import HEAD_BYTES, find_format_by_head, find_format_by_name, require_supported

PathParts = tuple[str, ...]  # of a path below the root, in NFC
METADATA: tuple[PathParts, ...] = (("metadata.csv",), ("metadata.jsonl",))  # tables of Hugging Face's imagefolder
READABLE = (".csv", ".tsv", ".jsonl")  # tables that `labels` may name
_MOST_NAMES, _KEPT = 3, 10  # names of skipped files: shown, and kept


class FoundEntry(NamedTuple):
    """An image, or a folder (without `read`): its stored path, and the elements of the path in NFC."""

    path: PurePosixPath
    parts: PathParts
    read: Callable[[], bytes] | None


@dataclass
class Skipped:
    """Files that were skipped: their number, and the first names."""

    kind: str
    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, path: PurePosixPath) -> None:
        """Count a file."""
        self.count += 1
        if len(self.first) < _KEPT:
            self.first.append(quote(path))

    def describe(self) -> list[str]:
        """Return one sentence, or nothing if no file was skipped."""
        if not self.count:
            return []
        one = self.count == 1
        more = ", ..." if self.count > _MOST_NAMES else ""
        kind = self.kind.format(s="" if one else "s", are="is" if one else "are", an="an " if one else "")
        return [f"skipped {self.count:,} {kind}: {', '.join(self.first[:_MOST_NAMES])}{more}"]


class Walk:
    """Walks a root once; afterwards `notes` lists skipped files, and `faults` what could not be read.

    `tables` has the content of the files whose paths end in one of `names`, `readable` the first paths of other tables.
    """

    def __init__(self, root: Path, names: Collection[PathParts] = ()) -> None:
        self.root, self._names = root, names
        self.tables: dict[PathParts, bytes] = {}
        self.readable: list[str] = []
        self.faults: list[str] = []
        self.others = Skipped("file{s} that {are} not {an}image{s}")
        self.hidden = Skipped("hidden image{s}, whose own or folder's name starts with a dot")
        self.hidden_folders: set[PathParts] = set()  # those that hold images
        self._stored: dict[PathParts, PurePosixPath] = {}

    def __iter__(self) -> Iterator[FoundEntry]:
        """Yield each image and folder that is neither hidden nor clutter; raises InputError for an invalid root."""
        for entry in _read_entries(self.root, self.faults):
            parts = tuple(map(normalize_nfc, entry.path.parts))
            if any(map(is_clutter, parts)):
                continue
            self._check_unique(parts if entry.read is None else parts[:-1], entry)
            if any(part.startswith(".") for part in parts):
                self._note_hidden(parts, entry)
            elif entry.read is None:
                yield FoundEntry(entry.path, parts, None)
            elif any(parts[-len(name) :] == name for name in self._names):
                self._keep_table(parts, entry)
                yield FoundEntry(entry.path.parent, parts[:-1], None)  # an archive may lack an entry for it
            elif parts and _is_image(parts[-1], partial(entry.read, HEAD_BYTES)):
                yield FoundEntry(entry.path, parts, partial(_read_image, entry.read, parts[-1]))
            else:
                self._skip(parts, entry)
                yield FoundEntry(entry.path.parent, parts[:-1], None)

    @property
    def notes(self) -> list[str]:
        """Sentences on skipped files, one for each kind."""
        return self.others.describe() + self.hidden.describe()

    def _skip(self, parts: PathParts, entry: Entry) -> None:
        self.others.add(entry.path)
        if parts and parts[-1].lower().endswith(READABLE) and len(self.readable) < _KEPT:
            self.readable.append("/".join(parts))

    def _keep_table(self, path: PathParts, entry: Entry) -> None:
        try:
            content = entry.read(None) if entry.read else b""
        except (OSError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            self.faults.append(f"{quote(entry.path)}: can't be read ({describe_cause(error)}); make it readable")
            return
        if path in self.tables:
            self.faults.append(f"{quote(entry.path)}: occurs twice; keep one")
        self.tables[path] = content

    def _check_unique(self, folder: PathParts, entry: Entry) -> None:
        """Add a fault for two folders whose names are equal in NFC."""
        if str(entry.path).isascii():
            return
        stored = entry.path if entry.read is None else entry.path.parent
        first = self._stored.setdefault(folder, stored)
        if first != stored:
            self._stored[folder] = stored
            self.faults.append(
                f"{quote(stored)}: two folders have this name, with composed and decomposed accents; merge them"
            )

    def _note_hidden(self, parts: PathParts, entry: Entry) -> None:
        if entry.read is None or not _is_hidden_image(parts[-1], partial(entry.read, HEAD_BYTES)):
            return
        self.hidden.add(entry.path)
        at = next(at for at, part in enumerate(parts) if part.startswith("."))
        if at < len(parts) - 1:
            self.hidden_folders.add(parts[: at + 1])


def _read_entries(root: Path, faults: list[str]) -> Iterator[Entry]:
    if is_folder(root):
        return read_folder(root, faults)
    if root.suffix.lower() in READABLE:
        raise InputError(
            f"{quote(root)}: is a table, not a folder or archive of images; name the folder of the images, and the "
            "table as their labels"
        )
    return read_archive(root)


def _read_image(read: Callable[[int | None], bytes], name: str) -> bytes:
    """Return the bytes of an image file; raises ValueError if its format is not supported."""
    content = read(None)
    require_supported(name, content[:HEAD_BYTES])
    return content


def _is_image(name: str, head: Callable[[], bytes]) -> bool:
    """Return whether a file is an image; True if it can't be read, so that it becomes an error."""
    if find_format_by_name(name):
        return True
    start = _read_head(head)
    return start is None or find_format_by_head(start) is not None


def _is_hidden_image(name: str, head: Callable[[], bytes]) -> bool:
    if not find_format_by_name(name):
        return False
    return not (name.startswith("._") and is_resource_fork(_read_head(head) or b""))


def _read_head(head: Callable[[], bytes]) -> bytes | None:
    """Return the first bytes of a file; none for a pipe or device, and None if it can't be read."""
    try:
        return head()
    except InputError:
        raise
    except ValueError:
        return b""
    except OSError:
        return None
