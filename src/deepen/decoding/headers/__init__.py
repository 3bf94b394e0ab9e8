"""Parse image files before decoding: orientation, bit depth, number of scans, and a copy without metadata.

Metadata (EXIF, XMP, text, colour profiles, further frames) is not passed to the decoder, so that damaged metadata can't
make an image unreadable.
"""

import re
from collections.abc import Callable

from deepen.decoding.headers import avif, jpeg, png, tiff
from deepen.decoding.headers.parsed_file import ParsedFile

NAMES = ("JPEG", "PNG", "WebP", "BMP", "TIFF", "GIF", "AVIF")
_SIGNATURES: dict[bytes, tuple[str, Callable[[bytes], ParsedFile]]] = {
    b"\xff\xd8\xff": ("JPEG", jpeg.parse),
    b"\x89PNG\r\n\x1a\n": ("PNG", png.parse),
    b"BM": ("BMP", ParsedFile),
    **dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), ("TIFF", tiff.parse)),
    **dict.fromkeys((b"GIF87a", b"GIF89a"), ("GIF", ParsedFile)),
}


def parse_image_file(content: bytes) -> tuple[str, ParsedFile] | None:
    """Return the format of an image file, one of `NAMES`, and the parsed file; None for any other format."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WebP", ParsedFile(content)
    if content[4:8] == b"ftyp" and re.search(b"avi[fs]", content[8 : int.from_bytes(content[:4])]):
        return "AVIF", avif.parse(content)
    for start, (name, parse) in _SIGNATURES.items():
        if content.startswith(start):
            return name, parse(content)
    return None
