"""Parse AVIF files, whose orientation is in boxes and not in EXIF (ISO/IEC 23000-22, 7.3.5.2)."""

import re

from deepen.decoding.headers.parsed_file import ParsedFile

_EXIF = re.compile(rb"(infe[\2\3].{7}(?:..)?)Exif", re.DOTALL)  # the entry of an EXIF item


def parse(content: bytes) -> ParsedFile:
    """Return an AVIF file with its EXIF item renamed to an unknown type, which the decoder skips."""
    return ParsedFile(_EXIF.sub(rb"\1none", content))
