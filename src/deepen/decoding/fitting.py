"""An opened image -> pixels: opaque, grey or RGB, of one size where that is asked for."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from deepen.decoding.headers.orientation import turn_upright
from deepen.decoding.sixteen_bits import is_sixteen_bits, reduce_grey
from deepen.decoding.strips import by_strips

Pixels = NDArray[np.uint8]  # (height, width) where grey, else (height, width, 3)
_NO_PICTURE = {
    "F": "its values are floating-point numbers, of which nothing says which is white",
    "LAB": "its colours are CIELAB",
}
_GREY = ("L", "1", "LA", "La")


def fit(
    image: Image.Image,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    orientation: int = 1,
    significant: int | None = None,
) -> tuple[Pixels, str]:
    """An image's pixels and what to tell of it: upright, what is transparent white, resized to (height, width).

    `orientation` is that of EXIF; of 16 bits a value, `significant` are in use. Raises ValueError for an image whose
    mode does not say what is white. Memory: the image and one of its size in RGB at a time.
    """
    note = ""
    if image.mode in _NO_PICTURE:
        raise ValueError(f"{_NO_PICTURE[image.mode]}; convert it to RGB or grey of 8 bits")
    if is_sixteen_bits(image):
        image, note = reduce_grey(image, significant)
    image = turn_upright(image, orientation)
    image = _as_picture(image, {None: "", 1: "L", 3: "RGB"}[channels])
    if size is not None and image.size != size[::-1]:
        image = ImageOps.fit(image, size[::-1], Image.Resampling.BICUBIC)
    return np.asarray(image), note


def _as_picture(image: Image.Image, wanted: str) -> Image.Image:
    """Opaque, and of mode L or RGB: the wanted one, else the one that loses nothing."""
    mode = "L" if image.mode in _GREY else "RGB"
    if image.mode in (wanted or "L", wanted or "RGB") and not image.has_transparency_data:
        return image

    def convert(part: Image.Image) -> Image.Image:
        if part.has_transparency_data:
            part = part.convert("LA") if part.mode == "La" else part
            white = Image.new("RGBA", part.size, "white")
            part = Image.alpha_composite(white, part.convert("RGBA"))
        part = part.convert(mode)
        return part.convert(wanted) if wanted else part

    return by_strips(image.size, lambda box: convert(image.crop(box)))


def planes(pixels: Pixels) -> NDArray[np.uint8]:
    """Pixels as networks take them: (channels, height, width)."""
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
