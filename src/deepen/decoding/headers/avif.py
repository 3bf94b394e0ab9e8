"""AVIF files, in which boxes and not EXIF say which way up the image is (ISO/IEC 23000-22, 7.3.5.2)."""

import re

from deepen.decoding.headers.parts import Parts

_EXIF = re.compile(rb"(infe[\2\3].{7}(?:..)?)Exif", re.DOTALL)  # the entry of an item of EXIF


def take_apart(content: bytes) -> Parts:
    """An AVIF file whose EXIF is passed over, being named as an item of no known type."""
    return Parts(_EXIF.sub(rb"\1none", content))
