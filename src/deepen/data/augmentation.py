"""Flip, crop, scale jitter and colour shift of whole batches, on the device that holds the images."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deepen.config.dataset_settings import Augmented
from deepen.config.recipes import Training
from deepen.data.scale_jitter import enlarged
from deepen.data.statistics import Statistics

WHOLE = slice(None)
_AT_ONCE = 4096  # images that get their border at once, on their way to the device


@dataclass(frozen=True)
class Augmentation:
    """What may be done to an image without changing its class.

    `flip`: mirrored, every other time on average. `crop`: moved by up to this fraction of its height and width, what is
    beyond the edge reflected. `color_shift`: standard deviation of the factor on each principal component of colour.
    `view`: a square of so many pixels a side, from any place, stands for the image; None is all of it. `scale_jitter`:
    it is taken from the image enlarged by a factor between 1 and this.
    """

    flip: bool
    crop: float
    color_shift: float
    view: int | None = None
    scale_jitter: float = 1.0

    @classmethod
    def of(cls, dataset: Augmented, training: Training) -> Self:
        """What a recipe does to the images of a data set."""
        crop = dataset.crop if training.crop else 0.0
        return cls(dataset.flip, crop, training.color_shift, dataset.view, training.scale_jitter)

    @property
    def size(self) -> tuple[int, int] | None:
        """The height and width of the view; None where it is the whole image."""
        return None if self.view is None else (self.view, self.view)

    def border(self, height: int, width: int) -> tuple[int, int]:
        """How many pixels a crop may move up or down, and to either side."""
        return round(self.crop * height), round(self.crop * width)


def normalize(images: Tensor, mean: Tensor) -> Tensor:
    """Scale images to 0-1, subtract the mean, and lay them out channels-last.

    Parameters
    ----------
    images : tensor (batch, channels, height, width), 0-255
        uint8, or float32, which may be overwritten.
    mean : tensor (channels,) or (batch, channels)
        On the 0-1 scale; the second where each image has its own.

    Returns
    -------
    float32 tensor (batch, channels, height, width)
    """
    x = images.to(torch.float32, memory_format=torch.channels_last).permute(0, 2, 3, 1)
    # A whole line of pixels at a time: on a CPU, adding three numbers over and over is three times slower.
    lines = x.flatten(2).div_(255).sub_(mean.reshape(-1, 1, mean.shape[-1]).repeat(1, 1, x.shape[2]))
    return lines.view(x.shape).permute(0, 3, 1, 2)


class AugmentedImages:
    """Training images, uint8 (n, channels, height, width), on a device, to draw augmented batches from.

    They lie channels-last with a reflected border as wide as a crop may move, so that a crop copies whole lines.
    """

    def __init__(
        self, images: NDArray[np.uint8], augmentation: Augmentation, statistics: Statistics, device: torch.device
    ) -> None:
        channels = images.shape[1]
        sides: tuple[int, int] = images.shape[2:]
        self._flip, self._scale_jitter = augmentation.flip, augmentation.scale_jitter
        self._height, self._width = augmentation.size or sides
        self._border = augmentation.border(*sides)
        height, width = (side + 2 * spare for side, spare in zip(sides, self._border, strict=True))
        self._padded = torch.empty((len(images), height, width, channels), dtype=torch.uint8, device=device)
        for start in range(0, len(images), _AT_ONCE):
            self._padded[start : start + _AT_ONCE] = self.bordered(images[start : start + _AT_ONCE])
        self._mean = torch.tensor(statistics.mean, device=device)
        components = torch.tensor(statistics.eigenvectors) * torch.tensor(statistics.eigenvalues)
        self._components = components.mul(augmentation.color_shift).to(device)

    def __len__(self) -> int:
        return len(self._padded)

    def bordered(self, images: NDArray[np.uint8]) -> Tensor:
        """Images (n, channels, height, width) as they lie here: (n, height, width, channels), with their border.

        NumPy does it: PyTorch starts helpers of its own for each thread that calls it, and while they wait, busily, the
        network trains a tenth slower.
        """
        rows, columns = self._border
        border = ((0, 0), (rows, rows), (columns, columns), (0, 0))
        return torch.from_numpy(np.ascontiguousarray(np.pad(images.transpose(0, 2, 3, 1), border, mode="reflect")))

    def hold(self, bordered: Tensor) -> None:
        """Have these, as `bordered` gives them, in place of all others: where those lay, if there are as many."""
        if len(bordered) == len(self._padded):
            self._padded.copy_(bordered, non_blocking=True)
        else:
            self._padded = bordered.to(self._padded.device)

    def in_turn(self, batches: Tensor, part: slice = WHOLE) -> Generator[Tensor, None, None]:
        """Yield each of `batches` (steps, batch), which are row numbers: all images are here already."""
        yield from batches

    def batch(self, rows: Tensor, generator: torch.Generator, part: slice = WHOLE) -> Tensor:
        """The images `rows` (batch,), normalised: float32 (batch, channels, height, width); or a `part` of them.

        What becomes of an image depends on its place among the rows, and not on the part that is asked for.
        """
        picked = self._mirrored(self._cropped(rows, generator, part), len(rows), generator, part)
        return normalize(picked.permute(0, 3, 1, 2), self._mean - self._color_shifts(len(rows), generator)[part])

    def _cropped(self, rows: Tensor, generator: torch.Generator, part: slice) -> Tensor:
        """(part, height, width, channels), 0-255: uint8, or float32 where they are enlarged."""
        if self._scale_jitter > 1:
            whole, size = self._padded.index_select(0, rows[part]), (self._height, self._width)
            return enlarged(whole, size, self._scale_jitter, generator, len(rows), part)
        _, height, width, channels = self._padded.shape
        y, x = (
            torch.randint(spare + 1, (len(rows),), device=rows.device, generator=generator)[part]
            for spare in (height - self._height, width - self._width)
        )
        lines = self._padded.as_strided(  # every run of `width` pixels, whichever it starts with
            (self._padded.numel() // channels - self._width + 1, self._width * channels), (channels, 1)
        )
        first = (rows[part] * height + y) * width + x
        index = first[:, None] + width * torch.arange(self._height, device=rows.device)
        return lines.index_select(0, index.flatten()).view(len(first), self._height, self._width, channels)

    def _mirrored(self, images: Tensor, batch: int, generator: torch.Generator, part: slice) -> Tensor:
        """Some of the images (part, height, width, channels) from right to left."""
        if not self._flip:
            return images
        count, device = len(images), images.device
        mirrored = torch.rand(batch, device=device, generator=generator)[part] < 0.5
        either = torch.cat([images, images.flip(2)])
        return either.index_select(0, torch.arange(count, device=device) + count * mirrored)

    def _color_shifts(self, batch: int, generator: torch.Generator) -> Tensor:
        """(batch, channels), 0-1 scale: eigenvectors @ (eigenvalues * N(0, `color_shift`)), drawn for each use.

        The eigenvalues themselves, not their roots (AlexNet, NIPS 2012, section 4.1).
        """
        factors = torch.randn(batch, self._components.shape[1], device=self._mean.device, generator=generator)
        return factors @ self._components.T
