"""Pictures made of images: every function lays small ones side by side and returns a PNG file's bytes."""

import io
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from deepen.data.images import ImageSet

_LEAST_WIDTH = 1000  # pixels of a picture: small images are enlarged by a whole number, each pixel a square


def draw_filters(weight: ArrayLike, like: ArrayLike | None = None) -> bytes:
    """The first layer's filters (out, channels, height, width), as colour where there are three channels.

    Black and white are the smallest and the largest weight, those of `like`, to compare with, counted.
    """
    filters = np.asarray(weight, np.float32)
    both = [filters] if like is None else [filters, np.asarray(like, np.float32)]
    low, high = min(each.min() for each in both), max(each.max() for each in both)
    shades = (filters - low) / max(high - low, 1e-12)
    return mosaic((255 * shades).round().astype(np.uint8), math.ceil(math.sqrt(2 * len(filters))))


def draw_augmentation(examples: ImageSet) -> bytes:
    """What examples.augmentation_examples gives: a row of images, and below it a row for each form."""
    return mosaic(examples.images, int((examples.labels == 0).sum()))


def mosaic(tiles: NDArray[np.uint8], columns: int) -> bytes:
    """Tiles (n, channels, height, width), 0-255, side by side, the mean of their channels where those are not three.

    Between them is a transparent line, so that they look well on any ground.
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
    return as_png(canvas)


def as_png(pixels: NDArray[np.uint8]) -> bytes:
    """Pixels (height, width), or with channels last, as PNG."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
