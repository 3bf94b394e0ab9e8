"""The covariance of the values of small patches of images, exact."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

SIDE = 3  # pixels of a patch
_ENOUGH = 4_000_000  # patches
_AT_ONCE = 1 << 13  # patches in memory at once, for each thread


def compute_patch_covariance(images: NDArray[np.uint8]) -> list[list[float]]:
    """Compute the covariance of the values of 3x3 patches, on the 0-1 scale, with divisor patches.

    Parameters
    ----------
    images : uint8 array (n, channels, height, width), 0-255

    Returns
    -------
    list (9 * channels) of lists of float
        Ordered by channel, row and column; empty if images are smaller than 3x3.
    """
    rows, columns = images.shape[2] - SIDE + 1, images.shape[3] - SIDE + 1
    if min(rows, columns) < 1:
        return []
    images = select_images(images)
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        sums, products = (sum(part) for part in zip(*threads.map(_sum_patches, _cut_blocks(images)), strict=True))
    count, size = len(images) * rows * columns, len(sums)
    # Python's integers are exact: each entry is rounded once, by its division.
    totals, matrix = sums.tolist(), products.tolist()
    scale = count**2 * 255**2
    return [[(count * matrix[i][j] - totals[i] * totals[j]) / scale for j in range(size)] for i in range(size)]


def select_images(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the images whose patches are used: all, or from eight million patches on every second, third, ... image.

    At least four million patches are left, or one image.
    """
    rows, columns = images.shape[2] - SIDE + 1, images.shape[3] - SIDE + 1
    return images[:: max(1, len(images) * rows * columns // _ENOUGH)]


def _cut_blocks(images: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Yield views of some images, or of rows of an image, with all patches between them and few in each."""
    rows, columns = images.shape[2] - SIDE + 1, images.shape[3] - SIDE + 1
    strip = min(rows, max(1, _AT_ONCE // columns))
    step = max(1, _AT_ONCE // (rows * columns))
    for start in range(0, len(images), step):
        for top in range(0, rows, strip):
            yield images[start : start + step, :, top : top + strip + SIDE - 1]


def _sum_patches(images: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sum the values of patches, and the products of each pair; float64 holds these integers exactly, below 2**53."""
    windows = np.lib.stride_tricks.sliding_window_view(images, (SIDE, SIDE), axis=(2, 3))
    values = windows.transpose(1, 4, 5, 0, 2, 3).reshape(images.shape[1] * SIDE**2, -1).astype(np.float64)
    return values.sum(1).astype(np.int64), (values @ values.T).astype(np.int64)
