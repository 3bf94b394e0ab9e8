"""Convert an opened PIL image to pixels: opaque, greyscale or RGB, and optionally resized."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from deepen.decoding.headers.orientation import turn_upright
from deepen.decoding.sixteen_bits import is_sixteen_bits, reduce_grey
from deepen.decoding.strips import convert_by_strips

Pixels = NDArray[np.uint8]  # (height, width) if greyscale, else (height, width, 3)
_UNSUPPORTED_MODES = {
    "F": "its values are floating-point numbers without a defined white level",
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
    """Return an image's pixels, upright, on white and resized to (height, width), and a note or "".

    `orientation` is the EXIF orientation; of 16 bits a sample, `significant` are in use. Raises ValueError for floating
    point and CIELAB images. Memory: the image and one RGB image of the same size.
    """
    note = ""
    if image.mode in _UNSUPPORTED_MODES:
        raise ValueError(f"{_UNSUPPORTED_MODES[image.mode]}; convert it to 8-bit RGB or greyscale")
    if is_sixteen_bits(image):
        image, note = reduce_grey(image, significant)
    image = turn_upright(image, orientation)
    image = _flatten(image, {None: "", 1: "L", 3: "RGB"}[channels])
    if size is not None and image.size != size[::-1]:
        image = ImageOps.fit(image, size[::-1], Image.Resampling.BICUBIC)
    return np.asarray(image), note


def _flatten(image: Image.Image, wanted: str) -> Image.Image:
    """Return an opaque image of the `wanted` mode L or RGB; without one, of the mode that loses nothing."""
    mode = "L" if is_grey(image) else "RGB"
    if image.mode in (wanted or "L", wanted or "RGB") and not image.has_transparency_data:
        return image

    def convert(part: Image.Image) -> Image.Image:
        if part.has_transparency_data:
            part = part.convert("LA") if part.mode == "La" else part
            white = Image.new("RGBA", part.size, "white")
            part = Image.alpha_composite(white, part.convert("RGBA"))
        part = part.convert(mode)
        return part.convert(wanted) if wanted else part

    return convert_by_strips(image.size, lambda box: convert(image.crop(box)))


def is_grey(image: Image.Image) -> bool:
    """Return whether an image has no colours, by its mode."""
    return image.mode in _GREY or is_sixteen_bits(image)


def move_channels_first(pixels: Pixels) -> NDArray[np.uint8]:
    """Return pixels as networks expect them: (channels, height, width)."""
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
