"""The files below a directory or inside an archive, read one after the other and never unpacked to disk."""

import bz2
import gzip
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any

from deepen.errors import InputError

Entry = tuple[PurePosixPath, Callable[[], bytes] | None]
_DEPTH = 5  # folders below the root that are looked into, so that a link to a folder above ends
_BROKEN = (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, gzip.BadGzipFile, zlib.error, EOFError, RuntimeError)
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
    except _BROKEN as error:
        raise InputError(
            f"{root}: is no whole .tar, .tar.gz, .tar.xz or .zip archive ({error}); fetch it again"
        ) from error


def _directory(root: Path) -> Iterator[Entry]:
    for folder, names, files in os.walk(root, followlinks=True):
        names.sort()
        below = Path(folder).relative_to(root)
        if len(below.parts) >= _DEPTH:
            names.clear()
        yield PurePosixPath(below), None
        for name in sorted(files):
            yield PurePosixPath(below / name), (Path(folder) / name).read_bytes


def _tar(root: Path) -> Iterator[Entry]:
    with root.open("rb") as file:
        start = file.read(6)
    decompress = next((opener for magic, opener in _COMPRESSIONS.items() if start.startswith(magic)), open)
    with decompress(root, "rb") as content:
        stream = _Stream(content)
        archive = tarfile.open(fileobj=stream, mode="r|")  # type: ignore[call-overload]  # noqa: SIM115
        for member in archive:
            path = _inside(root, member.name)
            if not (member.isfile() or member.isdir()):
                raise InputError(f"{root}: {member.name!r} is a link or device, not a file; pack the files themselves")
            reader = archive.extractfile(member)
            yield path, partial(_read, root, reader.read) if reader else None
        stream.must_have_ended()


class _Stream:
    """Bytes on their way to tarfile, which takes a cut-off archive for one that ends early."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._tail = file, b""

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._tail = (self._tail + data)[-tarfile.BLOCKSIZE :]
        return data

    def must_have_ended(self) -> None:
        """Raise tarfile.ReadError unless the last block is the empty one that ends an archive."""
        while self.read(1 << 20):
            pass
        if any(self._tail):
            raise tarfile.ReadError("it ends early")


def _zip(root: Path) -> Iterator[Entry]:
    with zipfile.ZipFile(root) as archive:
        for member in archive.infolist():
            path = _inside(root, member.filename)
            yield path, None if member.is_dir() else partial(_read, root, partial(archive.read, member))


def _read(root: Path, read: Callable[[], bytes]) -> bytes:
    with _told_if_broken(root):
        return read()


def _inside(root: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise InputError(f"{root}: {name!r} climbs out of the archive; pack it again with relative paths")
    return path
