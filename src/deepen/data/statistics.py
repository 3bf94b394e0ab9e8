"""Channel means, colour principal components and the covariance of patches, exact."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepen.core.checksums import read_checked_json, write_checked_json
from deepen.core.dvc_cache import suggest_repair
from deepen.core.errors import InputError
from deepen.data.patches import compute_patch_covariance

_RUN = 256
_CHUNK_PIXELS = 512 * _RUN  # fits in the cache


@dataclass(frozen=True)
class Statistics:
    """Hold channel means, colour principal components and the covariance of patches of images, on the 0-1 scale.

    Attributes
    ----------
    images : tuple of one int
        The number of images.
    mean : tuple of float
        One for each channel.
    eigenvalues : tuple of float
        Of the covariance between the channels over all pixels, with divisor pixels - 1; largest first.
    eigenvectors : tuple of tuples of float
        (channels, channels), one column for each eigenvalue.
    patch_covariance : tuple of tuples of float
        (9 * channels, 9 * channels), of the values of 3x3 patches, ordered by channel, row and column, with divisor
        patches. Empty if images are smaller than that.
    """

    images: tuple[int]
    mean: tuple[float, ...]
    eigenvalues: tuple[float, ...]
    eigenvectors: tuple[tuple[float, ...], ...]
    patch_covariance: tuple[tuple[float, ...], ...]

    def save(self, path: Path) -> None:
        """Write JSON with lists as values, which DVC leaves out of its table of metrics."""
        write_checked_json(path, asdict(self))


def load_statistics(path: Path) -> Statistics:
    """Read a file of `Statistics.save`; raises InputError if it is invalid."""
    statistics = read_checked_json(path, Statistics)
    channels = len(statistics.mean)
    sizes = {len(statistics.eigenvalues), len(statistics.eigenvectors), *map(len, statistics.eigenvectors)}
    if not channels or sizes != {channels}:
        raise InputError(f"{path}: its mean, eigenvalues and eigenvectors differ in length; {suggest_repair(path)}")
    rows = {len(statistics.patch_covariance), *map(len, statistics.patch_covariance)}
    if rows not in ({0}, {9 * channels}):
        size = f"{9 * channels}x{9 * channels} numbers"
        raise InputError(f"{path}: its patch_covariance must have {size}; {suggest_repair(path)}")
    return statistics


def compute_statistics(images: NDArray[np.uint8]) -> Statistics:
    """Compute channel means, colour principal components and the covariance of patches, exactly.

    Parameters
    ----------
    images : uint8 array (n, channels, height, width), 0-255

    Returns
    -------
    Statistics

    Raises
    ------
    InputError
        There are fewer than two pixels.
    """
    count, channels = images.shape[0] * images.shape[2] * images.shape[3], images.shape[1]
    if count < 2:
        raise InputError(f"statistics need at least 2 pixels, the images have {count}; add images")
    sums, products = _sum_products(images)
    # Python's integers are exact: n * sum(xy) - sum(x) * sum(y) is rounded only once, here.
    covariance = np.array(
        [
            [(count * products[i][j] - sums[i] * sums[j]) / (count * (count - 1) * 255**2) for j in range(channels)]
            for i in range(channels)
        ]
    )
    eigenvalues, eigenvectors = np.linalg.eigh(covariance)
    eigenvectors = _fix_signs(eigenvectors[:, ::-1])
    return Statistics(
        images=(images.shape[0],),
        mean=tuple(total / (count * 255) for total in sums),
        eigenvalues=tuple(eigenvalues[::-1].tolist()),
        eigenvectors=tuple(map(tuple, eigenvectors.tolist())),
        patch_covariance=tuple(map(tuple, compute_patch_covariance(images))),
    )


def _sum_products(images: NDArray[np.uint8]) -> tuple[list[int], list[list[int]]]:
    """Return the sum of each channel, and of the product of each pair of channels, over all pixels."""
    workers = min(os.cpu_count() or 1, len(images))
    with ThreadPoolExecutor(workers) as threads:  # NumPy releases the GIL in its loops
        parts = list(threads.map(_sum_part, np.array_split(images, workers)))
    sums, products = (sum(part) for part in zip(*parts, strict=True))
    return sums.tolist(), products.tolist()


def _sum_part(images: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return both sums, in float32 where it is exact: up to 2**24, more than a run of 256 products of 255 * 255."""
    channels, area = images.shape[1], images.shape[2] * images.shape[3]
    step = max(1, _CHUNK_PIXELS // area)
    runs = np.zeros((channels, -(-step * area // _RUN), _RUN), np.float32)
    planes, ones = runs.reshape(channels, -1), np.ones(_RUN, np.float32)
    sums = np.zeros(runs.shape[:2])
    products = [np.zeros((channels - apart, runs.shape[1])) for apart in range(channels)]  # by channel distance
    for start in range(0, len(images), step):
        chunk = images[start : start + step].swapaxes(0, 1)
        planes[:, : chunk[0].size].reshape(chunk.shape)[:] = chunk
        planes[:, chunk[0].size :] = 0
        sums += runs @ ones
        for apart in range(channels):
            products[apart] += np.vecdot(runs[: channels - apart], runs[apart:])
    matrix = np.zeros((channels, channels), np.int64)
    for apart, sums_apart in enumerate(products):
        for i, total in enumerate(sums_apart.sum(1, dtype=np.int64)):
            matrix[i, i + apart] = matrix[i + apart, i] = total
    return sums.sum(1, dtype=np.int64), matrix


def _fix_signs(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make the entry of largest magnitude of each eigenvector positive: eigh leaves the sign undefined."""
    largest = np.abs(columns).argmax(axis=0)
    return columns * np.where(columns[largest, range(columns.shape[1])] < 0, -1.0, 1.0)
