"""Stream the members of .tar and .zip archives without unpacking them to disk.

Archives are not trusted: sizes, names and types of members are checked before use.
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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, Self

from deepen.core.errors import InputError, quote
from deepen.datasets.archive_bounds import ArchiveLimits
from deepen.datasets.archive_names import decode_tar_name, decode_zip_names
from deepen.datasets.files import Entry
from deepen.decoding.formats import HEAD_BYTES, find_format_by_head

MOST_NAME = 1024  # characters of a member's name
MOST_LEVELS = 100  # folders in it
_MOST_HEADER_BYTES = 1 << 20  # of one member of a .tar
_DAMAGE = (
    *(tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, OSError, zlib.error, EOFError, RuntimeError),
    *(UnicodeDecodeError, ValueError, OverflowError, struct.error, MemoryError),  # raised for damaged headers
)
_ENCRYPTED = 1  # bit of a .zip member's flags
_COMPRESSIONS: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"\xfd7zXZ": lzma.open, b"BZh": bz2.open}


def read_archive(root: Path) -> Iterator[Entry]:
    """Yield each file and folder of an archive; read an entry before the next one is requested.

    Raises InputError for a damaged archive, and for members that are links, devices or outside the archive.
    """
    with _reraise_broken_archive(root):
        yield from _read_zip(root) if zipfile.is_zipfile(root) else _read_tar(root)


@contextmanager
def _reraise_broken_archive(root: Path) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except _DAMAGE as error:
        if (image := _find_image_format(root)) is not None:
            raise InputError(
                f"{root}: is an image ({image}), not a folder or archive; name one with the images"
            ) from error
        raise InputError(
            f"{root}: is not a valid .tar, .tar.gz, .tar.xz or .zip archive ({quote(error)}); "
            "download or create it again"
        ) from error


def _find_image_format(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return find_format_by_head(file.read(HEAD_BYTES))
    except OSError:
        return None


class _Replay:
    """Reads a stream from its start each time, as `Entry.read` does, by keeping the bytes already read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._read = file, b""

    def __call__(self, size: int | None) -> bytes:
        wanted = -1 if size is None else max(0, size - len(self._read))
        self._read += self._file.read(wanted)
        return self._read[:size]


def _read_tar(root: Path) -> Iterator[Entry]:
    with root.open("rb") as file:
        start = file.read(6)
    decompress = next((opener for magic, opener in _COMPRESSIONS.items() if start.startswith(magic)), open)
    limits = ArchiveLimits(root)
    with decompress(root, "rb") as content:
        stream = _TarStream(content, limits)
        archive: tarfile.TarFile = tarfile.open(  # type: ignore[call-overload]  # noqa: SIM115
            fileobj=stream, mode="r|", tarinfo=_StrictHeader, encoding="utf-8", errors="surrogateescape"
        )
        while (member := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # it would keep all members
            path = _check_path(root, decode_tar_name(root, member.name))
            if not (member.isfile() or member.isdir()):
                raise _not_a_file(root, member.name)
            limits.count(member.size)
            stream.allow(member.size)
            opened = archive.extractfile(member)
            yield Entry(path, partial(_read, limits, member.name, member.size, _Replay(opened)) if opened else None)
        stream.require_end()


class _StrictHeader(tarfile.TarInfo):
    """A member's header; raises for a damaged one, which tarfile would take for the end of the archive."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if any(buf):
                raise tarfile.ReadError(f"damaged header: {error}") from error
            raise


class _TarStream:
    """The bytes that tarfile reads, with limits and a check for truncation, which tarfile does not detect."""

    def __init__(self, file: IO[bytes], limits: ArchiveLimits) -> None:
        self._file, self._limits, self._tail, self._left, self._total = file, limits, b"", 0, 0
        self.allow(0)

    def allow(self, size: int) -> None:
        """Allow the bytes of a member of this size and of the next header."""
        self._left = size + _MOST_HEADER_BYTES

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._left -= len(data)
        self._total += len(data)
        self._limits.check_total(self._total)  # headers and padding count too
        if self._left < 0:
            raise tarfile.ReadError(f"a header exceeds {_MOST_HEADER_BYTES:,} bytes")
        self._tail = (self._tail + data)[-tarfile.BLOCKSIZE :]
        return data

    def require_end(self) -> None:
        """Raise tarfile.ReadError unless the stream ends with an empty block."""
        while self.read(1 << 16):
            self.allow(0)
        if any(self._tail):
            raise tarfile.ReadError("unexpected end of archive")


def _read_zip(root: Path) -> Iterator[Entry]:
    limits = ArchiveLimits(root)
    with zipfile.ZipFile(root) as archive:
        members = archive.infolist()
        _require_no_password(root, members)
        for member, name in zip(members, decode_zip_names(root, members), strict=True):
            path = _check_path(root, name)
            if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _not_a_file(root, name)
            limits.count(member.file_size)
            read = partial(_read, limits, name, member.file_size, partial(_read_zip_member, archive, member))
            yield Entry(path, None if name.endswith("/") else read)


def _require_no_password(root: Path, members: Sequence[zipfile.ZipInfo]) -> None:
    locked = next((member.filename for member in members if member.flag_bits & _ENCRYPTED), None)
    if locked is not None:
        raise InputError(f"{root}: {locked!a} has a password; create the archive again without one")


def _read_zip_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, size: int | None) -> bytes:
    with archive.open(member) as file:
        return file.read(-1 if size is None else size)


def _read(limits: ArchiveLimits, name: str, size: int, read: Callable[[int | None], bytes], first: int | None) -> bytes:
    """Read a member of this `size`, or its `first` bytes; raises InputError if it is too large or damaged."""
    if first is None:
        limits.check_file(name, size)
    with _reraise_broken_archive(limits.root):
        return read(first)


def _not_a_file(root: Path, name: str) -> InputError:
    return InputError(f"{root}: {name!a} is a link or device, not a file; create the archive with regular files")


def _check_path(root: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if len(name) > MOST_NAME or len(path.parts) > MOST_LEVELS:
        raise InputError(
            f"{root}: the name {name[:40]!a}... has {len(name):,} characters and {len(path.parts):,} levels; the "
            f"limits are {MOST_NAME:,} and {MOST_LEVELS}; create the archive again with shorter names"
        )
    if "\\" in name:
        raise InputError(
            f"{root}: {name!a} contains a backslash, as some Windows programs write; create it again with slashes"
        )
    if path.is_absolute() or ".." in path.parts or re.match("[A-Za-z]:", name):
        raise InputError(f"{root}: {name!a} points outside the archive; create it again with relative paths")
    return path
