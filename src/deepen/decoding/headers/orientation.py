"""Read the orientation of an image from EXIF or XMP, and ignore all else there, valid or not."""

import re

from PIL import Image

from deepen.decoding.headers.directory import read_directory

ORIENTATION = 0x0112  # the tag
_HEADER = b"Exif\0\0"
_XMP = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def find_orientation(exif: bytes, xmp: bytes = b"") -> int:
    """Return the EXIF orientation, 1 to 8, else that of XMP; 1 (upright) if both are missing or invalid."""
    while exif.startswith(_HEADER):
        exif = exif[len(_HEADER) :]
    for entry in read_directory(exif):
        if entry.tag == ORIENTATION and entry.number is not None:
            return entry.number if entry.number in _TURNS else 1
    match = _XMP.search(xmp)
    return int(match[1]) if match else 1


def turn_upright(image: Image.Image, orientation: int) -> Image.Image:
    """Return the image rotated or flipped to be upright."""
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)
