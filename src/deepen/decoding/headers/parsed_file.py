"""An image file parsed before decoding."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ParsedFile:
    """A parsed image file.

    `content` is the file without metadata, for the decoder. `orientation` is that of EXIF, 1 to 8, or None if the
    decoder reads it. `depth` is the stored bits a sample, and `significant` how many of them are in use, None if all or
    unknown. A JPEG is decoded in `scans` passes.
    """

    content: bytes
    orientation: int | None = None
    depth: int = 8
    significant: int | None = None
    scans: int = 1
