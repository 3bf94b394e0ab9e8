"""Parse TIFF files by their first directory (TIFF 6.0)."""

from deepen.decoding.headers.directory import Entry, read_directory
from deepen.decoding.headers.orientation import find_orientation
from deepen.decoding.headers.parsed_file import ParsedFile

# The tags that say where and how pixels are stored, without the orientation.
_KEPT = {
    *(254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 292, 293, 317),
    *(320, 321, 322, 323, 324, 325, 330, 332, 333, 334, 336, 338, 339, 347, *range(512, 522), 529, 530, 531, 532),
}
_OFFSETS = (273, 279, 324, 325)  # offsets and lengths of strips and tiles
_MOST_STRIPS = 1 << 20
_BITS, _COMPRESSION, _PHOTOMETRIC, _MAXIMUM, _PLANES = 258, 259, 262, 281, 284


def parse(content: bytes) -> ParsedFile:
    """Return a TIFF file whose first directory keeps only the tags that say how pixels are stored.

    Raises ValueError for more than 2**20 strips or tiles, and for layouts that Pillow reads wrongly.
    """
    entries = list(read_directory(content))
    strips = max((entry.count for entry in entries if entry.tag in _OFFSETS), default=0)
    if strips > _MOST_STRIPS:
        raise ValueError(f"it has {strips:,} strips or tiles; the limit is {_MOST_STRIPS:,}")
    numbers = {entry.tag: entry.number for entry in reversed(entries) if entry.number is not None}
    depth = numbers.get(_BITS, 1)
    stored = 16 if 8 < depth < 16 else depth
    if stored == 16 and numbers.get(_PHOTOMETRIC) == 0:
        raise ValueError("16-bit TIFF with 0 for white (WhiteIsZero) is not supported; save it with 0 for black")
    if stored == 16 and numbers.get(_PLANES) == 2 and numbers.get(_COMPRESSION, 1) == 1:
        raise ValueError("16-bit TIFF with separate planes is not supported; save it with interleaved channels")
    bits = numbers.get(_MAXIMUM, 0).bit_length() or depth
    significant = bits if bits < min(stored, 16) else None
    return ParsedFile(_drop_tags(content, entries), find_orientation(content), stored, significant)


def _drop_tags(content: bytes, entries: list[Entry]) -> bytes:
    """Return the file with an invalid type, zero, for every other tag, so that the decoder skips it."""
    ignored = [entry for entry in entries if entry.tag not in _KEPT and entry.type]
    if not ignored:
        return content
    changed = bytearray(content)
    for entry in ignored:
        changed[entry.at + 2 : entry.at + 4] = b"\0\0"
    return bytes(changed)
