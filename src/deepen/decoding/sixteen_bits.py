"""Reduce images of 16 bits a sample to 8, by the bit depth stated in the file or else by the full range."""

import re
import sys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from deepen.decoding.headers.parsed_file import ParsedFile
from deepen.decoding.strips import Box, convert_by_strips, split_into_strips

_DARK = 1 << 12  # an image with only smaller values is nearly black, unless it uses fewer than 16 bits
Samples = NDArray[np.uint16]  # (height, width) or (height, width, channels)


def is_sixteen_bits(image: Image.Image) -> bool:
    """Return whether the image has one channel of more than 8 bits."""
    return image.mode == "I" or image.mode.startswith("I;16")


def reduce_grey(image: Image.Image, significant: int | None = None) -> tuple[Image.Image, str]:
    """Convert an image of mode I or I;16 to mode L; return it and a note or "".

    `significant` is the number of bits in use that the file states. Raises ValueError if a value exceeds 16 bits.
    """
    transparent = image.info.get("transparency")

    def opaque(samples: Samples, reduced: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.where(samples == transparent, np.uint8(255), reduced) if isinstance(transparent, int) else reduced

    return _reduce(lambda box: _grey_samples(image.crop(box)), image.size, "L", significant, opaque)


def reduce_file(
    image: ImageFile.ImageFile, reopen: Callable[[], ImageFile.ImageFile], parsed: ParsedFile
) -> tuple[Image.Image, str]:
    """Reduce a colour image, of which the decoder kept the upper byte of each sample; return it and a note or "".

    If the file states that fewer bits are in use, and they may be the lower ones, it is decoded again for the lower
    bytes.
    """
    if parsed.depth != 16 or is_sixteen_bits(image) or image.mode == "CMYK":
        return image, ""
    if isinstance(key := image.info.get("transparency"), tuple):
        image.info["transparency"] = tuple(sample >> 8 for sample in key)
    largest = _DARK - 1 if parsed.significant is None else (1 << parsed.significant) - 1
    high = max(band[1] for band in image.getextrema()[:3])  # type: ignore[index]
    if high > largest >> 8:
        return image, ""
    lower = reopen()
    if parsed.significant is None or not _swap_bytes(lower):
        return image, _dark_note((high << 8) + 255) if high else ""
    lower.load()

    def read(box: Box) -> Samples:
        upper_bytes, lower_bytes = (np.asarray(one.crop(box)).astype(np.uint16) for one in (image, lower))
        samples: Samples = np.bitwise_or(upper_bytes << 8, lower_bytes, dtype=np.uint16)
        return samples

    return _reduce(read, image.size, image.mode, parsed.significant)


def _swap_bytes(image: ImageFile.ImageFile) -> bool:
    """Make the decoder keep the lower byte of each sample; return False if it can't."""
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
        f"is nearly black: none of its 16-bit values exceeds {largest:,}; if it uses fewer bits, scale its "
        "values to 16 bits, or store the bit depth in the file (PNG: sBIT, TIFF: MaxSampleValue)"
    )


def _reduce(
    read: Callable[[Box], Samples],
    size: tuple[int, int],
    mode: str,
    significant: int | None,
    finish: Callable[[Samples, NDArray[np.uint8]], NDArray[np.uint8]] = lambda samples, reduced: reduced,
) -> tuple[Image.Image, str]:
    largest, coarse = 0, True
    for box in split_into_strips(size):
        samples = read(box)
        largest = max(largest, int(samples.max()))
        coarse = coarse and not (samples & (0xFFFF >> (significant or 16))).any()
    # PNG requires the upper bits of the 16, but many programs write the lower ones.
    low = significant is not None and not largest >> significant and not coarse
    bits = significant if significant is not None and low else 16

    def convert(box: Box) -> Image.Image:
        samples = read(box)
        reduced = finish(samples, _upper_eight(samples, bits))
        return Image.frombytes(mode, (box[2], box[3] - box[1]), reduced.tobytes())

    return convert_by_strips(size, convert), _dark_note(largest) if bits == 16 and 0 < largest < _DARK else ""


def _grey_samples(image: Image.Image) -> Samples:
    values = np.asarray(image)
    if image.mode == "I" and values.size:
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > 0xFFFF:
            raise ValueError(f"its values range from {low:,} to {high:,}, outside 0 to 65,535; convert it to 8 bits")
    return values.astype(np.uint16)


def _upper_eight(samples: Samples, bits: int) -> NDArray[np.uint8]:
    """Return the upper 8 of `bits` bits; fewer than 8 are stretched to 0-255."""
    reduced = samples * 255 // (2**bits - 1) if bits < 8 else samples >> (bits - 8)
    return reduced.astype(np.uint8, copy=False)
