"""Images that stay in their map while a network learns from them: batches gathered ahead of their use, by a thread."""

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deepen.data.augmentation import WHOLE, Augmentation, AugmentedImages
from deepen.data.images import ImageSet
from deepen.data.statistics import Statistics
from deepen.runtime.device import memory

RESIDENT_SHARE = 0.25  # of the device's memory that training images may take; the rest is the network's
AHEAD = 3  # batches that are gathered before their turn


def fits(images: ImageSet, augmentation: Augmentation, device: torch.device, processes: int = 1) -> bool:
    """Whether the images, with the border that a crop may reach, take no more than their share of the memory.

    Of so many `processes` on this machine each has them, on a GPU of its own or all in one memory.
    """
    channels, height, width = images.shape
    rows, columns = augmentation.border(height, width)
    size = len(images) * channels * (height + 2 * rows) * (width + 2 * columns)
    return size * (1 if device.type == "cuda" else processes) <= RESIDENT_SHARE * memory(device)


class MappedImages:
    """Training images to draw augmented batches from, as of AugmentedImages and with the same bits.

    Only some batches are in memory, on CUDA in pages that are its own to copy from, and one is on the device.
    """

    def __init__(
        self, images: ImageSet, augmentation: Augmentation, statistics: Statistics, device: torch.device
    ) -> None:
        self._images, self._pinned = images, device.type == "cuda"
        nothing = np.empty((0, *images.shape), np.uint8)
        self._held = AugmentedImages(nothing, augmentation, statistics, device)

    def __len__(self) -> int:
        return len(self._images)

    def in_turn(self, batches: Tensor, part: slice = WHOLE) -> Generator[Tensor, None, None]:
        """Yield each of `batches` (steps, batch), which are row numbers, once the images of this part are here."""
        with closing(gathered(self._gather, batches[:, part].cpu().numpy())) as images:
            for rows, batch in zip(batches, images, strict=True):
                self._held.hold(batch)
                yield rows

    def batch(self, rows: Tensor, generator: torch.Generator, part: slice = WHOLE) -> Tensor:
        """As AugmentedImages.batch, of the rows that `in_turn` has just given, and of their part."""
        held = torch.arange(len(rows), device=rows.device) - (part.start or 0)  # where in memory a row's image lies
        return self._held.batch(held, generator, part)

    def _gather(self, rows: NDArray[np.intp]) -> Tensor:
        batch = self._held.bordered(self._images.batch(rows))
        return batch.pin_memory() if self._pinned else batch


def gathered(gather: Callable[[NDArray[np.intp]], Tensor], batches: NDArray[np.intp]) -> Generator[Tensor, None, None]:
    """What `gather` gives for each of the batches, in their order, got by a thread that is some ahead.

    What it raises is raised here, in its turn. The thread ends with the iterator, also where that is closed early.
    """
    waiting: deque[Future[Tensor]] = deque()
    with ThreadPoolExecutor(1) as thread:
        try:
            for rows in batches:
                waiting.append(thread.submit(gather, rows))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            thread.shutdown(wait=False, cancel_futures=True)
