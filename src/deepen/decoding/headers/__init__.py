"""Image files taken apart: what their pixels need, which way up they are, and what decoding them will cost.

A file's remarks on itself (EXIF, XMP, text, colour profiles, further frames) are left out of what is handed to the
decoder, so that nothing but its pixels can make an image unreadable.
"""

import re
from collections.abc import Callable

from deepen.decoding.headers import avif, jpeg, png, tiff
from deepen.decoding.headers.parts import Parts

NAMES = ("JPEG", "PNG", "WebP", "BMP", "TIFF", "GIF", "AVIF")
_STARTS: dict[bytes, tuple[str, Callable[[bytes], Parts]]] = {
    b"\xff\xd8\xff": ("JPEG", jpeg.take_apart),
    b"\x89PNG\r\n\x1a\n": ("PNG", png.take_apart),
    b"BM": ("BMP", Parts),
    **dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), ("TIFF", tiff.take_apart)),
    **dict.fromkeys((b"GIF87a", b"GIF89a"), ("GIF", Parts)),
}


def take_apart(content: bytes) -> tuple[str, Parts] | None:
    """The name of an image file's format, one of `NAMES`, and its parts; None for any other format."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WebP", Parts(content)
    if content[4:8] == b"ftyp" and re.search(b"avi[fs]", content[8 : int.from_bytes(content[:4])]):
        return "AVIF", avif.take_apart(content)
    for start, (name, parts) in _STARTS.items():
        if content.startswith(start):
            return name, parts(content)
    return None
