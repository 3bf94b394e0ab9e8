"""TIFF files: what their first directory says (TIFF 6.0)."""

from deepen.decoding.headers.directory import Entry, read_directory
from deepen.decoding.headers.orientation import find_orientation
from deepen.decoding.headers.parts import Parts

# The tags that say where pixels are and how they are stored; the orientation is not of them.
_KEPT = {
    *(254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 292, 293, 317),
    *(320, 321, 322, 323, 324, 325, 330, 332, 333, 334, 336, 338, 339, 347, *range(512, 522), 529, 530, 531, 532),
}
_PLACES = (273, 279, 324, 325)  # where strips and tiles are, and how long
_MOST_PLACES = 1 << 20
_BITS, _COMPRESSION, _PHOTOMETRIC, _MAXIMUM, _PLANES = 258, 259, 262, 281, 284


def take_apart(content: bytes) -> Parts:
    """A TIFF file whose first directory keeps the tags that say how pixels are stored.

    Raises ValueError where it has more than 2**20 strips or tiles, or a layout that Pillow reads wrongly.
    """
    entries = list(read_directory(content))
    places = max((entry.count for entry in entries if entry.tag in _PLACES), default=0)
    if places > _MOST_PLACES:
        raise ValueError(f"it has {places:,} strips or tiles, at most {_MOST_PLACES:,} are taken")
    numbers = {entry.tag: entry.number for entry in reversed(entries) if entry.number is not None}
    depth = numbers.get(_BITS, 1)
    stored = 16 if 8 < depth < 16 else depth
    if stored == 16 and numbers.get(_PHOTOMETRIC) == 0:
        raise ValueError("its 16-bit values go from white to black, which is not read; save it with 0 for black")
    if stored == 16 and numbers.get(_PLANES) == 2 and numbers.get(_COMPRESSION, 1) == 1:
        raise ValueError("it has a plane of 16 bits for each channel, which is not read; save it with one plane")
    bits = numbers.get(_MAXIMUM, 0).bit_length() or depth
    significant = bits if bits < min(stored, 16) else None
    return Parts(_lean(content, entries), find_orientation(content), stored, significant)


def _lean(content: bytes, entries: list[Entry]) -> bytes:
    """The file with the type of every other tag zero, which is no type, so that the tag is passed over."""
    odd = [entry for entry in entries if entry.tag not in _KEPT and entry.type]
    if not odd:
        return content
    changed = bytearray(content)
    for entry in odd:
        changed[entry.at + 2 : entry.at + 4] = b"\0\0"
    return bytes(changed)
