"""Images of 16 bits a sample, brought to 8: by what the file says of its values, and else by the whole range."""

import re
import sys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from deepen.decoding.headers.parts import Parts
from deepen.decoding.strips import Box, by_strips, strips

_DARK = 1 << 12  # an image of no larger value is nearly black, unless its values have fewer than 16 bits
Samples = NDArray[np.uint16]  # (height, width) or (height, width, channels)


def is_sixteen_bits(image: Image.Image) -> bool:
    """Whether the image has one channel of more than 8 bits."""
    return image.mode == "I" or image.mode.startswith("I;16")


def reduce_grey(image: Image.Image, significant: int | None = None) -> tuple[Image.Image, str]:
    """An image of mode I or I;16 as one of mode L, and what to tell of it, if anything.

    `significant` is how many bits the file says that a value has. Raises ValueError where one has more than 16.
    """
    transparent = image.info.get("transparency")

    def opaque(samples: Samples, reduced: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.where(samples == transparent, np.uint8(255), reduced) if isinstance(transparent, int) else reduced

    return _reduce(lambda box: _grey_samples(image.crop(box)), image.size, "L", significant, opaque)


def reduce_file(
    image: ImageFile.ImageFile, reopen: Callable[[], ImageFile.ImageFile], parts: Parts
) -> tuple[Image.Image, str]:
    """The same of a file in colour, of which the decoder has kept the upper byte of each sample.

    Where the file says that fewer bits are in use, and those may be the lower ones, it is decoded a second time for
    the lower bytes.
    """
    if parts.depth != 16 or is_sixteen_bits(image) or image.mode == "CMYK":
        return image, ""
    if isinstance(key := image.info.get("transparency"), tuple):
        image.info["transparency"] = tuple(sample >> 8 for sample in key)
    largest = _DARK - 1 if parts.significant is None else (1 << parts.significant) - 1
    high = max(band[1] for band in image.getextrema()[:3])  # type: ignore[index]
    if high > largest >> 8:
        return image, ""
    lower = reopen()
    if parts.significant is None or not _swap_bytes(lower):
        return image, _dark_note((high << 8) + 255) if high else ""
    lower.load()

    def read(box: Box) -> Samples:
        upper_bytes, lower_bytes = (np.asarray(one.crop(box)).astype(np.uint16) for one in (image, lower))
        samples: Samples = np.bitwise_or(upper_bytes << 8, lower_bytes, dtype=np.uint16)
        return samples

    return _reduce(read, image.size, image.mode, parts.significant)


def _swap_bytes(image: ImageFile.ImageFile) -> bool:
    """Have the decoder keep the lower byte of each sample; False where it can't."""
    native = "L" if sys.byteorder == "little" else "B"
    for i, tile in enumerate(image.tile):
        rawmode, *rest = (tile.args,) if isinstance(tile.args, str) else tile.args or ("",)
        if not re.fullmatch("RGB[AX]?;16[BLN]", rawmode):
            return False
        other = rawmode[:-1] + ("B" if rawmode[-1].replace("N", native) == "L" else "L")
        image.tile[i] = tile._replace(args=(other, *rest) if rest else other)
    return True


def _dark_note(largest: int) -> str:
    return (
        f"is nearly black, as none of its 16-bit values exceeds {largest:,}; if they have fewer bits, scale them to "
        "16, or write into the file how many bits they have (PNG: sBIT, TIFF: MaxSampleValue)"
    )


def _reduce(
    read: Callable[[Box], Samples],
    size: tuple[int, int],
    mode: str,
    significant: int | None,
    finish: Callable[[Samples, NDArray[np.uint8]], NDArray[np.uint8]] = lambda samples, reduced: reduced,
) -> tuple[Image.Image, str]:
    largest, coarse = 0, True
    for box in strips(size):
        samples = read(box)
        largest = max(largest, int(samples.max()))
        coarse = coarse and not (samples & (0xFFFF >> (significant or 16))).any()
    # PNG wants few bits to be the upper ones of the 16, and many programs write the lower ones.
    low = significant is not None and not largest >> significant and not coarse
    bits = significant if significant is not None and low else 16

    def convert(box: Box) -> Image.Image:
        samples = read(box)
        reduced = finish(samples, _upper_eight(samples, bits))
        return Image.frombytes(mode, (box[2], box[3] - box[1]), reduced.tobytes())

    return by_strips(size, convert), _dark_note(largest) if bits == 16 and 0 < largest < _DARK else ""


def _grey_samples(image: Image.Image) -> Samples:
    values = np.asarray(image)
    if image.mode == "I" and values.size:
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > 0xFFFF:
            raise ValueError(f"its values go from {low:,} to {high:,}, outside 0 to 65,535; convert it to 8 bits")
    return values.astype(np.uint16)


def _upper_eight(samples: Samples, bits: int) -> NDArray[np.uint8]:
    """The upper 8 of so many bits; fewer than 8 are spread over 0-255."""
    reduced = samples * 255 // (2**bits - 1) if bits < 8 else samples >> (bits - 8)
    return reduced.astype(np.uint8, copy=False)
