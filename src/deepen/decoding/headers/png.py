"""Parse PNG files by their chunks (W3C, Portable Network Graphics, third edition)."""

import zlib
from collections.abc import Iterator

from deepen.decoding.headers.orientation import find_orientation
from deepen.decoding.headers.parsed_file import ParsedFile

_KEPT = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
_MOST_TEXT = 1 << 20  # decompressed bytes of EXIF or XMP in a text chunk
_SAMPLES = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}  # a pixel by colour type, as in sBIT


def parse(content: bytes) -> ParsedFile:
    """Return a PNG file without text, profiles and further frames."""
    kept, exif, text, bits = [content[:8]], b"", b"", b""
    end = 8
    for start, end, kind in _chunks(content):
        if kind in _KEPT:
            kept.append(content[start:end])
        elif kind == b"eXIf":
            exif = content[start + 8 : end - 4]
        elif kind == b"sBIT":
            bits = content[start + 8 : end - 4]
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            exif_text, xmp = _unpack_text(kind, content[start + 8 : end - 4])
            exif, text = exif or exif_text, text or xmp
    kept.append(content[end:])
    depth, colour = (content[24], content[25]) if len(content) > 25 else (8, 0)
    significant = max(bits) if len(bits) == _SAMPLES.get(colour) and 0 < max(bits) < depth else None
    return ParsedFile(b"".join(kept), find_orientation(exif, text), depth, significant)


def _chunks(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield the start, end and type of each complete chunk, up to the end of the image."""
    at = 8
    while at + 12 <= len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4])
        if end > len(content):
            return
        kind = content[at + 4 : at + 8]
        yield at, end, kind
        if kind == b"IEND":
            return
        at = end


def _unpack_text(kind: bytes, data: bytes) -> tuple[bytes, bytes]:
    """Return the EXIF and the XMP of a text chunk; empty if missing."""
    key, _, value = data.partition(b"\0")
    if key == b"Raw profile type exif":  # as ImageMagick writes it: three lines, then hexadecimal digits
        packed = value[1:] if kind == b"zTXt" else None
        lines = (value if packed is None else _unpack(packed)).split(b"\n")[3:]
        try:
            return bytes.fromhex(b"".join(lines).decode("ascii", "replace")), b""
        except ValueError:
            return b"", b""
    if key == b"XML:com.adobe.xmp" and kind == b"iTXt":
        *_, xmp = value[2:].split(b"\0", 2)
        return b"", _unpack(xmp) if value[:1] == b"\1" else xmp
    return b"", b""


def _unpack(packed: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(packed, _MOST_TEXT)
    except zlib.error:
        return b""
