"""What is known of an image file before it is decoded."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Parts:
    """An image file taken apart.

    `content` is what the decoder is given; `orientation` (1 to 8, as EXIF has it) is None where the decoder finds it;
    `depth` is the bits a sample is stored in, `significant` how many of them the file says it uses, None where it says
    nothing or all; a JPEG is decoded in `scans` passes.
    """

    content: bytes
    orientation: int | None = None
    depth: int = 8
    significant: int | None = None
    scans: int = 1
