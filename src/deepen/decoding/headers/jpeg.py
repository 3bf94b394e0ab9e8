"""Parse JPEG files: segments, and the number of scans (ITU-T T.81, annex B)."""

import re

from deepen.decoding.headers.orientation import find_orientation
from deepen.decoding.headers.parsed_file import ParsedFile

_SCAN, _END = 0xDA, 0xD9
_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a segment
_KEPT = {0xE0, 0xEE}  # of the application segments: JFIF and Adobe, which define the channels
_MARKER = re.compile(rb"\xff+[^\0\xff\xd0-\xd7]")  # within a scan
_XMP = b"http://ns.adobe.com/xap/1.0/\0"


def parse(content: bytes) -> ParsedFile:
    """Return a JPEG file without EXIF, profiles, comments and the index of further frames."""
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
    return ParsedFile(b"".join(kept), find_orientation(exif, xmp), scans=_count_scans(content, at))


def _segment(content: bytes, at: int) -> tuple[int, int] | None:
    """Return the marker and the end of the segment at an offset; None at a scan or without a segment."""
    if content[at : at + 1] != b"\xff" or len(content) < at + 4:
        return None
    marker = content[at + 1]
    end = at + 2 + int.from_bytes(content[at + 2 : at + 4])
    if marker in (0, 0xFF, _SCAN, _END) or marker in _ALONE or end < at + 4 or end > len(content):
        return None
    return marker, end


def _count_scans(content: bytes, at: int) -> int:
    """Count the scans from an offset to the end of the image; exact only above 16, which is rare."""
    at_most = content.count(bytes((0xFF, _SCAN)), at)  # an upper bound: other data may look like a scan
    if at_most <= 16:
        return at_most
    scans = 0
    while match := _MARKER.search(content, at):
        marker = content[match.end() - 1]
        if marker == _END:
            break
        scans += marker == _SCAN
        segment = _segment_end(content, match.end())
        at = match.end() if marker in _ALONE else segment
    return scans


def _segment_end(content: bytes, at: int) -> int:
    return at + max(2, int.from_bytes(content[at : at + 2]))
