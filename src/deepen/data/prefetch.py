"""Prefetching of training batches from memory-mapped images, by a background thread."""

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import cycle

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deepen.data.augmentation import WHOLE, Augmentation, AugmentedImages
from deepen.data.images import ImageSet
from deepen.data.statistics import Statistics
from deepen.runtime.buffers import make_buffers
from deepen.runtime.device import get_total_memory

RESIDENT_SHARE = 0.25  # of the device's memory for training images; the rest is for the network
AHEAD = 3  # batches that are prefetched


def fits_in_memory(images: ImageSet, augmentation: Augmentation, device: torch.device, processes: int = 1) -> bool:
    """Return whether the images, with their padding, fit in their share of the device's memory.

    Each of the `processes` on this machine holds all images: on its own GPU, or in the main memory that all share.
    """
    size = len(images) * count_padded_bytes(images.shape, augmentation)
    return size * (1 if device.type == "cuda" else processes) <= RESIDENT_SHARE * get_total_memory(device)


def count_padded_bytes(shape: tuple[int, int, int], augmentation: Augmentation) -> int:
    """Return the bytes of a uint8 image of `shape` (channels, height, width) with its padding."""
    channels, height, width = shape
    rows, columns = augmentation.border(height, width)
    return channels * (height + 2 * rows) * (width + 2 * columns)


class MappedImages:
    """Memory-mapped training images to draw augmented batches from, bit-identical to AugmentedImages.

    Only a few batches are in memory, pinned for CUDA, and one is on the device.
    """

    def __init__(
        self, images: ImageSet, augmentation: Augmentation, statistics: Statistics, device: torch.device
    ) -> None:
        self._images, self._device = images, device
        self._bytes = count_padded_bytes(images.shape, augmentation)
        nothing = np.empty((0, *images.shape), np.uint8)
        self._held = AugmentedImages(nothing, augmentation, statistics, device)

    def __len__(self) -> int:
        return len(self._images)

    def iter_batches(self, batches: Tensor, shard: slice = WHOLE) -> Generator[Tensor, None, None]:
        """Yield each of `batches` (steps, batch), which are row numbers, once the images of this shard are loaded."""
        mine = batches[:, shard].cpu().numpy()
        buffers = make_buffers(AHEAD + 2, mine.shape[1] * self._bytes, self._device)
        filled, copied = cycle(buffers), cycle(buffers)
        with closing(prefetch(lambda rows: next(filled).fill(self._gather(rows)), mine)) as images:
            for rows, batch in zip(batches, images, strict=True):
                self._held.replace(batch)
                next(copied).mark_copied()
                yield rows

    def batch(self, rows: Tensor, generator: torch.Generator, shard: slice = WHOLE) -> Tensor:
        """Return the same as AugmentedImages.batch, for the rows that `iter_batches` has just yielded."""
        held = torch.arange(len(rows), device=rows.device) - (shard.start or 0)  # the index of a row's image in memory
        return self._held.batch(held, generator, shard)

    def _gather(self, rows: NDArray[np.intp]) -> Tensor:
        return self._held.pad(self._images.batch(rows))


def prefetch(gather: Callable[[NDArray[np.intp]], Tensor], batches: NDArray[np.intp]) -> Generator[Tensor, None, None]:
    """Yield the result of `gather` for each batch, in order, computed ahead by a background thread.

    Its exceptions are raised here, in order. The thread ends with the iterator, also if that is closed early.
    """
    pending: deque[Future[Tensor]] = deque()
    with ThreadPoolExecutor(1) as thread:
        try:
            for rows in batches:
                pending.append(thread.submit(gather, rows))
                if len(pending) > AHEAD:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            thread.shutdown(wait=False, cancel_futures=True)
