"""Decode file names in archives as UTF-8, and normalize Unicode to composed characters (NFC)."""

import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

from deepen.core.errors import InputError

_UTF8_FLAG = 0x800
_UNICODE_PATH = 0x7075  # the Info-ZIP extra field with the name in UTF-8


def normalize_nfc(name: str) -> str:
    """Return the name with composed accents (NFC): macOS stores them decomposed."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def decode_zip_names(root: Path, members: Iterable[zipfile.ZipInfo]) -> list[str]:
    """Return the names of members; raises InputError if any is not UTF-8, since its encoding is unknown."""
    names, faults = list[str](), list[bytes]()
    for member in members:
        try:
            names.append(_decode_zip_name(member).partition("\0")[0])
        except UnicodeDecodeError as error:
            faults.append(error.object)
    if faults:
        raise _not_utf8(root, faults[0], len(faults))
    return names


def _decode_zip_name(member: zipfile.ZipInfo) -> str:
    """Return the name of a member; without the UTF-8 flag, zipfile has decoded it as code page 437."""
    if member.flag_bits & _UTF8_FLAG:
        return member.orig_filename
    raw = member.orig_filename.encode("cp437")
    return (_find_unicode_path(member.extra, raw) or raw).decode()


def _find_unicode_path(extra: bytes, raw: bytes) -> bytes | None:
    """Return the name in the extra field that belongs to this name; None if there is none."""
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        field, extra = extra[4 : 4 + length], extra[4 + length :]
        if kind == _UNICODE_PATH and field[:1] == b"\1" and field[1:5] == zlib.crc32(raw).to_bytes(4, "little"):
            return field[5:]
    return None


def decode_tar_name(root: Path, name: str) -> str:
    """Return the name of a member; raises InputError if it is not UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise _not_utf8(root, name.encode("utf-8", "surrogateescape"), 1) from None
    return name


def _not_utf8(root: Path, name: bytes, count: int) -> InputError:
    others = f" and {count - 1:,} more are" if count > 1 else " is"
    return InputError(
        f"{root}: the name {repr(name)[1:]}{others} not UTF-8, and the encoding is unknown; create the archive again "
        "with UTF-8 names (as zip on Linux or macOS, or 7-Zip with -mcu does), or unpack it where its names are "
        "displayed correctly and set root to the folder"
    )
