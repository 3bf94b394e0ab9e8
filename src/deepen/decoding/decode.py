"""An image file -> pixels: upright, opaque, grey or RGB, of one size where that is asked for."""

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

from deepen.core.errors import InputError, plain
from deepen.decoding.budget import PixelBudget
from deepen.decoding.fitting import Pixels, fit
from deepen.decoding.headers import NAMES, take_apart
from deepen.decoding.headers.orientation import find_orientation
from deepen.decoding.headers.parts import Parts
from deepen.decoding.pillow_warnings import collect_warnings
from deepen.decoding.sixteen_bits import reduce_file

MOST_PIXELS = 1 << 27  # of one image before it is decoded: a phone's 108 megapixels, and no bomb
_SCANS = 20, 500  # of a JPEG, that are always and at most taken: programs write 10 to 20
_MOST_SCANNED = 1 << 31  # pixels times scans: about two seconds
PIXELS = PixelBudget(MOST_PIXELS, large=MOST_PIXELS // 4)  # at 13 bytes a pixel at most, 1.7 GB
# Blocks that glibc takes from the system one by one and gives back when an image goes: smaller ones stay with a thread.
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
    """An image can't be read; the message says why."""


@dataclass(frozen=True)
class Decoded:
    """An image's pixels, uint8, (height, width) where it is grey, else (height, width, 3), and what to tell of it."""

    pixels: Pixels
    notes: tuple[str, ...] = ()


def decode(content: bytes, size: tuple[int, int] | None = None, channels: int | None = None) -> Pixels:
    """An image file's pixels, uint8: (height, width) where it is grey, else (height, width, 3).

    It is turned upright as its EXIF says; what is transparent becomes white; of several frames or pages the first
    counts. With a `size` (height, width) it is resized and centre-cropped to that; with `channels` 1 or 3 it becomes
    grey or RGB. Raises UnreadableImage, also, before it is decoded, where it has more than 2**27 pixels.
    """
    return decode_noted(content, size, channels).pixels


def decode_noted(content: bytes, size: tuple[int, int] | None = None, channels: int | None = None) -> Decoded:
    """The same, with notes such as that the image is nearly black, each a clause that follows the image's name."""
    return guarded(lambda: _decode(content, size, channels))


def guarded(read: Callable[[], Decoded]) -> Decoded:
    """What `read` makes of an image, with Pillow's warnings among the notes; whatever it raises is UnreadableImage."""
    try:
        with collect_warnings() as warnings:
            found = read()
    except (UnreadableImage, InputError):
        raise
    except Exception as error:  # of a damaged file a decoder may raise anything
        raise UnreadableImage(_reason(error)) from error
    return replace(found, notes=(*found.notes, *(f"is read, with a warning of Pillow: {plain(w)}" for w in warnings)))


_VAGUE = ("not identified by this driver", "cannot load this image")  # what Pillow says of damaged files


def _reason(error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):  # Pillow's own bound, which is higher
        return f"it has more than {MOST_PIXELS:,} pixels"
    if isinstance(error, MemoryError):
        return "it takes more memory than there is"
    text = plain((isinstance(error, OSError) and error.strerror) or error)[:200]
    if text in _VAGUE:
        return "it is damaged"
    told = isinstance(error, OSError | ValueError | SyntaxError) and text
    return text if told else f"its format is damaged: {type(error).__name__} {text}".rstrip()


def _decode(content: bytes, size: tuple[int, int] | None, channels: int | None) -> Decoded:
    found = take_apart(content)
    if found is None:
        raise UnreadableImage(f"none of {', '.join(NAMES)}")
    name, parts = found
    image = _READERS[name](io.BytesIO(parts.content))
    with PIXELS.taking(_count_pixels(image, parts)):
        image.load()
        orientation = parts.orientation or find_orientation(image.info.get("exif", b""), image.info.get("xmp", b""))
        opened: list[Image.Image] = [image]
        opened[0], dark = reduce_file(image, partial(_READERS[name], io.BytesIO(parts.content)), parts)
        del image  # what is handed on is held by nobody else, so that it goes as soon as it is converted
        pixels, note = fit(opened.pop(), size, channels, orientation, parts.significant)
    return Decoded(pixels, tuple(filter(None, (dark, note))))


def _count_pixels(image: ImageFile.ImageFile, parts: Parts) -> int:
    """How many pixels an image has, not yet decoded. Raises ValueError where that or its decoding is too much."""
    pixels = image.width * image.height
    if pixels > MOST_PIXELS:
        raise ValueError(f"it has {pixels:,} pixels, at most {MOST_PIXELS:,} are taken")
    most = sorted((*_SCANS, _MOST_SCANNED // pixels))[1]
    if parts.scans > most:
        raise ValueError(f"it has {parts.scans:,} scans, at most {most:,} are taken of so many pixels")
    return pixels
