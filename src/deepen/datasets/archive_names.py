"""Names of files in archives, as they were meant: UTF-8, or an error; and in one form, composed (NFC)."""

import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

from deepen.core.errors import InputError

_UTF8_FLAG = 0x800
_UNICODE_PATH = 0x7075  # the extra field of Info-ZIP that has the name in UTF-8


def composed(name: str) -> str:
    """The name with its accents composed: macOS stores them apart from their letters."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def zip_names(root: Path, members: Iterable[zipfile.ZipInfo]) -> list[str]:
    """The members' names; raises InputError where any is in another encoding than UTF-8, since nothing says which."""
    names, faults = list[str](), list[bytes]()
    for member in members:
        try:
            names.append(_zip_name(member).partition("\0")[0])
        except UnicodeDecodeError as error:
            faults.append(error.object)
    if faults:
        raise _not_utf8(root, faults[0], len(faults))
    return names


def _zip_name(member: zipfile.ZipInfo) -> str:
    """The name of a member of which zipfile, where no flag says UTF-8, made text by code page 437."""
    if member.flag_bits & _UTF8_FLAG:
        return member.orig_filename
    raw = member.orig_filename.encode("cp437")
    return (_unicode_path(member.extra, raw) or raw).decode()


def _unicode_path(extra: bytes, raw: bytes) -> bytes | None:
    """The name in an extra field, where there is one that was made for this name."""
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        field, extra = extra[4 : 4 + length], extra[4 + length :]
        if kind == _UNICODE_PATH and field[:1] == b"\1" and field[1:5] == zlib.crc32(raw).to_bytes(4, "little"):
            return field[5:]
    return None


def tar_name(root: Path, name: str) -> str:
    """The name of a member; raises InputError where it is in another encoding than UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise _not_utf8(root, name.encode("utf-8", "surrogateescape"), 1) from None
    return name


def _not_utf8(root: Path, name: bytes, count: int) -> InputError:
    others = f" and {count - 1:,} more are" if count > 1 else " is"
    return InputError(
        f"{root}: the name {repr(name)[1:]}{others} not UTF-8, and nothing says what else; pack the archive again with "
        "UTF-8 names (as zip on Linux, macOS, or 7-Zip with -mcu do), or unpack it where its names are shown right and "
        "set root to the folder"
    )
