"""The members of an archive, read one after the other and never unpacked to disk.

Nothing that an archive says of itself is believed: sizes, names and kinds are held to bounds before they are used.
"""

import bz2
import gzip
import lzma
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

from deepen.core.errors import InputError, plain
from deepen.datasets.archive_bounds import Bounds
from deepen.datasets.archive_names import tar_name, zip_names
from deepen.datasets.files import Entry
from deepen.decoding.formats import HEAD_BYTES, find_format_by_head

MOST_NAME = 1024  # characters of a member's name
MOST_LEVELS = 100  # folders in it
_MOST_HEADER_BYTES = 1 << 20  # of one member of a .tar
_BROKEN = (
    *(tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, OSError, zlib.error, EOFError, RuntimeError),
    *(UnicodeDecodeError, ValueError, OverflowError, struct.error, MemoryError),  # what damaged headers lead to
)
_COMPRESSIONS: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"\xfd7zXZ": lzma.open, b"BZh": bz2.open}


def read_archive(root: Path) -> Iterator[Entry]:
    """Yield each file and folder of an archive, to be read before the next is asked for.

    Raises InputError for a broken archive, and for a member that is not plainly a file or folder inside.
    """
    with _told_if_broken(root):
        yield from _zip(root) if zipfile.is_zipfile(root) else _tar(root)


@contextmanager
def _told_if_broken(root: Path) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except _BROKEN as error:
        if (image := _image_format(root)) is not None:
            raise InputError(f"{root}: is an image ({image}); name the folder or the archive that holds all") from error
        raise InputError(
            f"{root}: is not a whole .tar, .tar.gz, .tar.xz or .zip archive ({plain(error)}); "
            "fetch it again, or pack it as one of these"
        ) from error


def _image_format(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return find_format_by_head(file.read(HEAD_BYTES))
    except OSError:
        return None


class _Streamed:
    """Reads a member of a stream from its start, as `Entry.read` does: it keeps what it has read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._read = file, b""

    def __call__(self, size: int | None) -> bytes:
        wanted = -1 if size is None else max(0, size - len(self._read))
        self._read += self._file.read(wanted)
        return self._read[:size]


def _tar(root: Path) -> Iterator[Entry]:
    with root.open("rb") as file:
        start = file.read(6)
    decompress = next((opener for magic, opener in _COMPRESSIONS.items() if start.startswith(magic)), open)
    bounds = Bounds(root)
    with decompress(root, "rb") as content:
        stream = _Stream(content, bounds)
        archive: tarfile.TarFile = tarfile.open(  # type: ignore[call-overload]  # noqa: SIM115
            fileobj=stream, mode="r|", tarinfo=_StrictHeader, encoding="utf-8", errors="surrogateescape"
        )
        while (member := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # it would keep all
            path = _inside(root, tar_name(root, member.name))
            if not (member.isfile() or member.isdir()):
                raise _no_file(root, member.name)
            bounds.count(member.size)
            stream.may_read(member.size)
            opened = archive.extractfile(member)
            yield Entry(path, partial(_read, bounds, member.name, member.size, _Streamed(opened)) if opened else None)
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

    def __init__(self, file: IO[bytes], bounds: Bounds) -> None:
        self._file, self._bounds, self._tail, self._left, self._total = file, bounds, b"", 0, 0
        self.may_read(0)

    def may_read(self, size: int) -> None:
        """From here on as many bytes as a member of this size has, and the header of the next."""
        self._left = size + _MOST_HEADER_BYTES

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._left -= len(data)
        self._total += len(data)
        self._bounds.must_be_bytes(self._total)  # headers and what lies between members count too
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
    bounds = Bounds(root)
    with zipfile.ZipFile(root) as archive:
        members = archive.infolist()
        for member, name in zip(members, zip_names(root, members), strict=True):
            path = _inside(root, name)
            if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _no_file(root, name)
            bounds.count(member.file_size)
            read = partial(_read, bounds, name, member.file_size, partial(_unzipped, archive, member))
            yield Entry(path, None if name.endswith("/") else read)


def _unzipped(archive: zipfile.ZipFile, member: zipfile.ZipInfo, size: int | None) -> bytes:
    with archive.open(member) as file:
        return file.read(-1 if size is None else size)


def _read(bounds: Bounds, name: str, size: int, read: Callable[[int | None], bytes], first: int | None) -> bytes:
    """What a member of this `size` holds, or its `first` bytes; raises InputError where it is too large or broken."""
    if first is None:
        bounds.must_fit(name, size)
    with _told_if_broken(bounds.root):
        return read(first)


def _no_file(root: Path, name: str) -> InputError:
    return InputError(f"{root}: {name!a} is a link or device, not a file; pack the files themselves")


def _inside(root: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if len(name) > MOST_NAME or len(path.parts) > MOST_LEVELS:
        raise InputError(
            f"{root}: the name {name[:40]!a}... has {len(name):,} characters and {len(path.parts):,} levels, at most "
            f"{MOST_NAME:,} and {MOST_LEVELS} are taken; pack it again with shorter names"
        )
    if "\\" in name:
        raise InputError(
            f"{root}: {name!a} has a backslash, as some programs for Windows write; pack it again with slashes"
        )
    if path.is_absolute() or ".." in path.parts or re.match("[A-Za-z]:", name):
        raise InputError(f"{root}: {name!a} points outside the archive; pack it again with relative paths")
    return path
