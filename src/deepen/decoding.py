"""An image file -> pixels: upright, opaque, grey or RGB, of one size where that is asked for."""

import io
import struct
import warnings
import zlib
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
_MOST_PIXELS = 1 << 27  # of one image before it is decoded: a phone's 108 megapixels, and no bomb
_OPENING = Lock()  # what is done with warnings is one for all threads
Pixels = NDArray[np.uint8]  # (height, width) where grey, else (height, width, 3)


class UnreadableImage(ValueError):
    """An image file can't be read; the message says why."""


# Pillow's readers raise all of these for damaged files.
_UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    MemoryError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def decode(content: bytes, size: tuple[int, int] | None = None, channels: int | None = None) -> Pixels:
    """An image file's pixels, uint8: (height, width) where it is grey, else (height, width, 3).

    It is turned upright as its EXIF says; what is transparent becomes white; of several frames the first counts. With a
    `size` (height, width) it is resized and centre-cropped to that; with `channels` 1 or 3 it becomes grey or RGB.
    Raises UnreadableImage, also, before it is decoded, where it has more than 2**27 pixels.
    """
    try:
        with _opened(content) as file:
            if file.width * file.height > _MOST_PIXELS:
                raise ValueError(f"it has {file.width * file.height:,} pixels, at most {_MOST_PIXELS:,} are taken")
            return fit(ImageOps.exif_transpose(file), size, channels)
    except UnidentifiedImageError as error:
        raise UnreadableImage(f"none of {', '.join(_FORMATS)}") from error
    except _UNREADABLE as error:
        raise UnreadableImage(str(error) or type(error).__name__) from error


def _opened(content: bytes) -> Image.Image:
    with _OPENING, warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # from 89 megapixels on, which are taken here
        return Image.open(io.BytesIO(content), formats=_FORMATS)


def fit(image: Image.Image, size: tuple[int, int] | None = None, channels: int | None = None) -> Pixels:
    """The pixels of an opened image, as `decode` gives them."""
    if image.mode.startswith("I;16") or image.mode == "I":  # 16 bits a pixel, which convert() would clip
        image = Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8))
    elif image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        grey = image.mode in ("LA", "La", "L", "1")
        image = Image.alpha_composite(white, image.convert("RGBA")).convert("L" if grey else "RGB")
    elif image.mode not in ("L", "RGB"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    if channels is not None:
        image = image.convert("L" if channels == 1 else "RGB")
    if size is not None and image.size != size[::-1]:
        image = ImageOps.fit(image, size[::-1], Image.Resampling.BICUBIC)
    return np.asarray(image)


def planes(pixels: Pixels) -> NDArray[np.uint8]:
    """Pixels as networks take them: (channels, height, width)."""
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
