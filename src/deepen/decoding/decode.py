"""Decode image files to pixels: upright, opaque, greyscale or RGB, and optionally resized."""

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from PIL import Image, ImageFile
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from deepen.core.errors import InputError, quote
from deepen.decoding.budget import PixelBudget
from deepen.decoding.fitting import Pixels, fit
from deepen.decoding.headers import NAMES, parse_image_file
from deepen.decoding.headers.orientation import find_orientation
from deepen.decoding.headers.parsed_file import ParsedFile
from deepen.decoding.pillow_warnings import collect_warnings
from deepen.decoding.sixteen_bits import reduce_file

MOST_PIXELS = 1 << 27  # of one image, checked before decoding: allows 108-megapixel photos, but no decompression bombs
_SCANS = 20, 500  # of a JPEG: always allowed, and the maximum; programs write 10 to 20
_MAX_PIXEL_SCANS = 1 << 31  # pixels times scans: about two seconds
PIXELS = PixelBudget(MOST_PIXELS, large=MOST_PIXELS // 4)  # at most 13 bytes a pixel, so 1.7 GB
# glibc returns blocks of this size to the system when an image is freed; smaller ones stay with the thread.
Image.core.set_block_size(1 << 26)  # type: ignore[attr-defined]
_READERS: dict[str, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WebP": WebPImageFile,
    "BMP": BmpImageFile,
    "TIFF": TiffImageFile,
    "GIF": GifImageFile,
    "AVIF": AvifImageFile,
}


class UnreadableImage(ValueError):
    """Raised when an image can't be read; the message is the reason."""


@dataclass(frozen=True)
class DecodedImage:
    """Pixels of an image, uint8 (height, width) if greyscale, else (height, width, 3), and notes for the user."""

    pixels: Pixels
    notes: tuple[str, ...] = ()


def decode(content: bytes, size: tuple[int, int] | None = None, channels: int | None = None) -> Pixels:
    """Decode an image file to uint8 pixels: (height, width) if greyscale, else (height, width, 3).

    The EXIF orientation is applied, transparency becomes white, and only the first frame or page is read. With a
    `size` (height, width) the image is resized and centre-cropped; `channels` 1 or 3 converts it to greyscale or RGB.
    Raises UnreadableImage; for more than 2**27 pixels before decoding.
    """
    return decode_noted(content, size, channels).pixels


def decode_noted(content: bytes, size: tuple[int, int] | None = None, channels: int | None = None) -> DecodedImage:
    """Decode as `decode` does, with notes (for example "is nearly black") that follow the name of the image."""
    return run_decoder(lambda: _decode(content, size, channels))


def run_decoder(read: Callable[[], DecodedImage]) -> DecodedImage:
    """Call a decoder, add Pillow's warnings to its notes, and turn any exception into UnreadableImage."""
    try:
        with collect_warnings() as warnings:
            decoded = read()
    except (UnreadableImage, InputError):
        raise
    except Exception as error:  # decoders raise anything on a damaged file
        raise UnreadableImage(describe_error(error)) from error
    return replace(decoded, notes=(*decoded.notes, *(f"was read with a Pillow warning: {quote(w)}" for w in warnings)))


_VAGUE = ("not identified by this driver", "cannot load this image")  # Pillow's messages for damaged files


def describe_error(error: Exception) -> str:
    """Return why an image can't be read, from any exception of a decoder."""
    if isinstance(error, Image.DecompressionBombError):  # Pillow's own limit, which is higher
        return f"it has more than {MOST_PIXELS:,} pixels"
    if isinstance(error, MemoryError):
        return "out of memory"
    text = quote((isinstance(error, OSError) and error.strerror) or error)[:200]
    if text in _VAGUE:
        return "it is damaged"
    clear = isinstance(error, OSError | ValueError | SyntaxError) and text
    return text if clear else f"its format is damaged: {type(error).__name__} {text}".rstrip()


def open_image_file(content: bytes) -> tuple[str, ParsedFile, ImageFile.ImageFile]:
    """Return the format of an image file, its parsed content, and its image, which is not decoded yet.

    Raises UnreadableImage for an unknown format; decoders may raise anything.
    """
    named = parse_image_file(content)
    if named is None:
        raise UnreadableImage(f"unknown format; supported: {', '.join(NAMES)}")
    name, parsed = named
    return name, parsed, _READERS[name](io.BytesIO(parsed.content))


def _decode(content: bytes, size: tuple[int, int] | None, channels: int | None) -> DecodedImage:
    name, parsed, image = open_image_file(content)
    with PIXELS.reserve(_count_pixels(image, parsed)):
        image.load()
        orientation = find_image_orientation(image, parsed)
        opened: list[Image.Image] = [image]
        opened[0], dark = reduce_file(image, partial(_READERS[name], io.BytesIO(parsed.content)), parsed)
        del image  # the only reference is passed on, so that the image is freed once it is converted
        pixels, note = fit(opened.pop(), size, channels, orientation, parsed.significant)
    return DecodedImage(pixels, tuple(filter(None, (dark, note))))


def find_image_orientation(image: ImageFile.ImageFile, parsed: ParsedFile) -> int:
    """Return the EXIF orientation of an image, 1 to 8."""
    return parsed.orientation or find_orientation(image.info.get("exif", b""), image.info.get("xmp", b""))


def _count_pixels(image: ImageFile.ImageFile, parsed: ParsedFile) -> int:
    """Return the pixels of an image that is not decoded yet. Raises ValueError if it has too many pixels or scans."""
    pixels = image.width * image.height
    if pixels > MOST_PIXELS:
        raise ValueError(f"it has {pixels:,} pixels; the limit is {MOST_PIXELS:,}")
    most = sorted((*_SCANS, _MAX_PIXEL_SCANS // pixels))[1]
    if parsed.scans > most:
        raise ValueError(f"it has {parsed.scans:,} scans; the limit for its size is {most:,}")
    return pixels
