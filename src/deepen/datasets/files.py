"""The files below a directory or inside an archive, read one after the other and never unpacked to disk.

Nothing that an archive says of itself is believed: sizes, names and kinds are held to bounds before they are used.
"""

import bz2
import gzip
import lzma
import os
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, Self

from deepen.errors import InputError, plain

Entry = tuple[PurePosixPath, Callable[[], bytes] | None]
MOST_FILES = 20_000_000
MOST_FILE_BYTES = 1 << 28
MOST_TIMES = 200  # as large as its archive may all that is in it be, or MOST_SMALL_BYTES
MOST_SMALL_BYTES = 1 << 30
_MOST_HEADER_BYTES = 1 << 20  # of one member of a .tar
_DEPTH = 5  # folders below the root that are looked into, so that a link to a folder above ends
_BROKEN = (
    *(tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, OSError, zlib.error, EOFError, RuntimeError),
    *(UnicodeDecodeError, ValueError, OverflowError, struct.error, MemoryError),  # what damaged headers lead to
)
_COMPRESSIONS: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"\xfd7zXZ": lzma.open, b"BZh": bz2.open}


def read_files(root: Path) -> Iterator[Entry]:
    """Yield each file's path below `root` and a function that reads it, to be called before the next is asked for.

    A folder is yielded too, with None in place of the function, so that empty ones don't go unseen. The order is that
    of the archive, or of the names in a directory. Raises InputError for a root that is neither, a broken archive, and
    a member that is not plainly a file inside.
    """
    if root.is_dir():
        yield from _directory(root)
    elif not root.is_file():
        raise InputError(f"{root}: is neither a directory nor an archive; set root to one that holds train/<class>/*")
    else:
        with _told_if_broken(root):
            yield from _zip(root) if zipfile.is_zipfile(root) else _tar(root)


@contextmanager
def _told_if_broken(root: Path) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except _BROKEN as error:
        raise InputError(
            f"{root}: is no whole .tar, .tar.gz, .tar.xz or .zip archive ({plain(error)}); fetch it again"
        ) from error


def _directory(root: Path) -> Iterator[Entry]:
    for folder, names, files in os.walk(root, followlinks=True):
        names.sort()
        below = Path(folder).relative_to(root)
        if len(below.parts) >= _DEPTH:
            names.clear()
        yield PurePosixPath(below), None
        for name in sorted(files):
            yield PurePosixPath(below / name), partial(read_plain, Path(folder) / name)


def read_plain(path: Path) -> bytes:
    """What a file holds; raises ValueError where it is a device or a pipe, which might never end, or too large."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is no plain file")
    if found.st_size > MOST_FILE_BYTES:
        raise ValueError(f"it has {found.st_size:,} bytes, at most {MOST_FILE_BYTES:,} are taken")
    return path.read_bytes()


class _Bounds:
    """Counts what an archive holds, and raises InputError once that is more than an honest one's."""

    def __init__(self, root: Path) -> None:
        self._root, self._files, self._bytes = root, 0, 0
        self._most_bytes = max(MOST_SMALL_BYTES, MOST_TIMES * root.stat().st_size)

    def count(self, name: str, size: int) -> None:
        """Take note of a member."""
        self._files, self._bytes = self._files + 1, self._bytes + size
        if size > MOST_FILE_BYTES:
            raise self._error(f"{plain(name)} has {size:,} bytes unpacked, at most {MOST_FILE_BYTES:,} are taken")
        if self._files > MOST_FILES:
            raise self._error(f"has more than {MOST_FILES:,} files")
        if self._bytes > self._most_bytes:
            raise self._error(f"has more than {self._most_bytes:,} bytes unpacked, {MOST_TIMES} times its size")

    def _error(self, fault: str) -> InputError:
        return InputError(f"{self._root}: {fault}; unpack it yourself if you trust it, and set root to the folder")


def _tar(root: Path) -> Iterator[Entry]:
    with root.open("rb") as file:
        start = file.read(6)
    decompress = next((opener for magic, opener in _COMPRESSIONS.items() if start.startswith(magic)), open)
    bounds = _Bounds(root)
    with decompress(root, "rb") as content:
        stream = _Stream(content)
        archive = tarfile.open(fileobj=stream, mode="r|", tarinfo=_StrictHeader)  # type: ignore[call-overload]  # noqa: SIM115
        for member in archive:
            path = _inside(root, member.name)
            if not (member.isfile() or member.isdir()):
                raise _no_file(root, member.name)
            bounds.count(member.name, member.size)
            stream.may_read(member.size)
            reader = archive.extractfile(member)
            yield path, partial(_read, root, reader.read) if reader else None
        stream.must_have_ended()


class _StrictHeader(tarfile.TarInfo):
    """A member's header; a damaged one is an error, where tarfile by itself would take it for the archive's end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if any(buf):
                raise tarfile.ReadError(f"a damaged header: {error}") from error
            raise


class _Stream:
    """Bytes on their way to tarfile, which takes a cut-off archive for one that ends early."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._tail, self._left = file, b"", 0
        self.may_read(0)

    def may_read(self, size: int) -> None:
        """From here on as many bytes as a member of this size has, and the header of the next."""
        self._left = size + _MOST_HEADER_BYTES

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise tarfile.ReadError(f"a header has over {_MOST_HEADER_BYTES:,} bytes")
        self._tail = (self._tail + data)[-tarfile.BLOCKSIZE :]
        return data

    def must_have_ended(self) -> None:
        """Raise tarfile.ReadError unless the last block is the empty one that ends an archive."""
        while self.read(1 << 16):
            self.may_read(0)
        if any(self._tail):
            raise tarfile.ReadError("it ends early")


def _zip(root: Path) -> Iterator[Entry]:
    bounds = _Bounds(root)
    with zipfile.ZipFile(root) as archive:
        for member in archive.infolist():
            path = _inside(root, member.filename)
            if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _no_file(root, member.filename)
            bounds.count(member.filename, member.file_size)
            yield path, None if member.is_dir() else partial(_read, root, partial(archive.read, member))


def _read(root: Path, read: Callable[[], bytes]) -> bytes:
    with _told_if_broken(root):
        return read()


def _no_file(root: Path, name: str) -> InputError:
    return InputError(f"{root}: {name!a} is a link or device, not a file; pack the files themselves")


def _inside(root: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or re.match("[A-Za-z]:", name):
        raise InputError(f"{root}: {name!a} climbs out of the archive; pack it again with relative paths")
    return path
