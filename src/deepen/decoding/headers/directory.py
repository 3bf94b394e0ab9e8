"""Read the first directory of TIFF files (TIFF 6.0 and BigTIFF), the format of EXIF too."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}  # bytes
_INTEGERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 16: "Q"}  # struct's letter for each type
_ORDERS = {b"II": "<", b"MM": ">"}


@dataclass(frozen=True)
class Entry:
    """An entry: its offset in the file, tag, type and count, and its first value if that is an integer."""

    at: int
    tag: int
    type: int
    count: int
    number: int | None


def read_directory(data: bytes) -> Iterator[Entry]:
    """Yield the entries of the first directory up to the end of the data; none if the data is not TIFF."""
    order = _ORDERS.get(data[:2])
    if order is None or len(data) < 16:
        return
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    start, length, head, number = ("Q", 20, "HHQ", "Q") if big else ("I", 12, "HHI", "H")
    (first,) = struct.unpack_from(order + start, data, 8 if big else 4)
    if first + 8 > len(data):
        return
    (entries,) = struct.unpack_from(order + number, data, first)
    first += struct.calcsize(order + number)
    for at in range(first, min(first + entries * length, len(data) - length + 1), length):
        tag, kind, count = struct.unpack_from(order + head, data, at)
        value = at + struct.calcsize(order + head)
        yield Entry(at, tag, kind, count, _first_number(data, order, value, kind, count, at + length - value))


def _first_number(data: bytes, order: str, at: int, kind: int, count: int, width: int) -> int | None:
    """Return the first value of an entry, whose values or their offset are stored at `at` in `width` bytes."""
    letter = _INTEGERS.get(kind)
    if letter is None or count < 1:
        return None
    if SIZES[kind] * count > width:
        (at,) = struct.unpack_from(order + ("Q" if width == 8 else "I"), data, at)
    if at + SIZES[kind] > len(data):
        return None
    return int(struct.unpack_from(order + letter, data, at)[0])
