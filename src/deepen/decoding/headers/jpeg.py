"""JPEG files: their segments, and how many scans they have (ITU-T T.81, annex B)."""

import re

from deepen.decoding.headers.orientation import find_orientation
from deepen.decoding.headers.parts import Parts

_SCAN, _END = 0xDA, 0xD9
_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a segment
_KEPT = {0xE0, 0xEE}  # of the application segments: JFIF and Adobe, which say what the channels are
_MARKER = re.compile(rb"\xff+[^\0\xff\xd0-\xd7]")  # in the midst of a scan
_XMP = b"http://ns.adobe.com/xap/1.0/\0"


def take_apart(content: bytes) -> Parts:
    """A JPEG file without EXIF, profiles, comments, and the index of further frames."""
    kept, exif, xmp = [content[:2]], b"", b""
    at = 2
    while (segment := _segment(content, at)) is not None:
        marker, end = segment
        data = content[at + 4 : end]
        if marker == 0xE1 and data.startswith(b"Exif\0\0"):
            exif += data[6:] if exif else data
        elif marker == 0xE1 and data.startswith(_XMP):
            xmp += data
        if marker in _KEPT or not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            kept.append(content[at:end])
        at = end
    kept.append(content[at:])
    return Parts(b"".join(kept), find_orientation(exif, xmp), scans=_count_scans(content, at))


def _segment(content: bytes, at: int) -> tuple[int, int] | None:
    """The marker of the segment at a place, and where it ends; None at a scan and where there is no segment."""
    if content[at : at + 1] != b"\xff" or len(content) < at + 4:
        return None
    marker = content[at + 1]
    end = at + 2 + int.from_bytes(content[at + 2 : at + 4])
    if marker in (0, 0xFF, _SCAN, _END) or marker in _ALONE or end < at + 4 or end > len(content):
        return None
    return marker, end


def _count_scans(content: bytes, at: int) -> int:
    """How many scans there are from a place on, up to the image's end; exact above 16, which is rare."""
    at_most = content.count(bytes((0xFF, _SCAN)), at)  # also of what other data looks like one
    if at_most <= 16:
        return at_most
    scans = 0
    while found := _MARKER.search(content, at):
        marker = content[found.end() - 1]
        if marker == _END:
            break
        scans += marker == _SCAN
        segment = _segment_end(content, found.end())
        at = found.end() if marker in _ALONE else segment
    return scans


def _segment_end(content: bytes, at: int) -> int:
    return at + max(2, int.from_bytes(content[at : at + 2]))
