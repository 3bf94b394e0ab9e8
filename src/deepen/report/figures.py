"""Figures made of small images side by side, as PNG."""

import io
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from deepen.data.images import ImageSet

_LEAST_WIDTH = 1000  # pixels of a figure; small images are enlarged by an integer factor


def draw_filters(weight: ArrayLike, like: ArrayLike | None = None) -> bytes:
    """Draw the filters of the first layer (out, channels, height, width), in colour if there are three channels.

    Black is the smallest weight, white the largest, of both `weight` and `like`, so that the two can be compared.
    """
    filters = np.asarray(weight, np.float32)
    both = [filters] if like is None else [filters, np.asarray(like, np.float32)]
    low, high = min(each.min() for each in both), max(each.max() for each in both)
    shades = (filters - low) / max(high - low, 1e-12)
    return draw_mosaic((255 * shades).round().astype(np.uint8), math.ceil(math.sqrt(2 * len(filters))))


def draw_augmentation(examples: ImageSet) -> bytes:
    """Draw a row of original images above rows of augmented ones, from draw_augmentation_examples."""
    return draw_mosaic(examples.images, int((examples.labels == 0).sum()))


def draw_mosaic(tiles: NDArray[np.uint8], columns: int) -> bytes:
    """Draw tiles (n, channels, height, width), 0-255, side by side; other than three channels are averaged.

    Transparent gaps separate them, to suit any background.
    """
    n, channels, height, width = tiles.shape
    columns = min(columns, n)
    colored = tiles if channels == 3 else np.repeat(tiles.mean(1, keepdims=True).round().astype(np.uint8), 3, 1)
    scale = max(1, math.ceil(_LEAST_WIDTH / (columns * width)))
    gap = max(1, scale // 4)
    enlarged = colored.repeat(scale, 2).repeat(scale, 3)
    y, x = height * scale + gap, width * scale + gap
    canvas = np.zeros((math.ceil(n / columns) * y - gap, columns * x - gap, 4), np.uint8)
    for i, tile in enumerate(enlarged):
        top, left = i // columns * y, i % columns * x
        canvas[top : top + y - gap, left : left + x - gap] = np.pad(
            tile.transpose(1, 2, 0), ((0, 0), (0, 0), (0, 1)), constant_values=255
        )
    return encode_png(canvas)


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """Encode pixels (height, width), or (height, width, channels), as PNG."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
