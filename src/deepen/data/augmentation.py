"""Data augmentation of batches on the device: flip, crop, scale jitter and colour shift."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deepen.config.dataset_settings import Augmented
from deepen.config.recipes import TrainingSettings
from deepen.data.scale_jitter import sample_enlarged
from deepen.data.statistics import Statistics

WHOLE = slice(None)
_AT_ONCE = 4096  # images that are padded and copied to the device at once


@dataclass(frozen=True)
class Augmentation:
    """Parameters of data augmentation.

    `flip`: mirror with probability 0.5. `crop`: shift by up to this fraction of height and width, with reflection
    padding. `color_shift`: standard deviation of the factor on each principal component of colour. `view`: side of a
    random square crop, in pixels; None is the whole image. `scale_jitter`: before the crop, the image is enlarged by a
    factor between 1 and this.
    """

    flip: bool
    crop: float
    color_shift: float
    view: int | None = None
    scale_jitter: float = 1.0

    @classmethod
    def of(cls, dataset: Augmented, training: TrainingSettings) -> Self:
        """Return the augmentation of a recipe on a data set."""
        crop = dataset.crop if training.crop else 0.0
        return cls(dataset.flip, crop, training.color_shift, dataset.view, training.scale_jitter)

    @property
    def size(self) -> tuple[int, int] | None:
        """The height and width of the view; None for the whole image."""
        return None if self.view is None else (self.view, self.view)

    def border(self, height: int, width: int) -> tuple[int, int]:
        """Return the largest shift of a crop in pixels: vertical, horizontal."""
        return round(self.crop * height), round(self.crop * width)


def normalize(images: Tensor, mean: Tensor) -> Tensor:
    """Scale images to 0-1, subtract the mean, and lay them out channels-last.

    Parameters
    ----------
    images : tensor (batch, channels, height, width), 0-255
        uint8, or float32, which may be overwritten.
    mean : tensor (channels,) or (batch, channels)
        On the 0-1 scale; one mean for all images, or one for each.

    Returns
    -------
    float32 tensor (batch, channels, height, width)
    """
    x = images.to(torch.float32, memory_format=torch.channels_last).permute(0, 2, 3, 1)
    # A whole line of pixels at a time: on a CPU, broadcasting over three channels is three times slower.
    lines = x.flatten(2).div_(255).sub_(mean.reshape(-1, 1, mean.shape[-1]).repeat(1, 1, x.shape[2]))
    return lines.view(x.shape).permute(0, 3, 1, 2)


class AugmentedImages:
    """Training images, uint8 (n, channels, height, width), on a device, to draw augmented batches from.

    They are stored channels-last with reflection padding for the largest shift, so that a crop copies whole lines.
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
            self._padded[start : start + _AT_ONCE] = self.pad(images[start : start + _AT_ONCE])
        self._lines = width * torch.arange(self._height, device=device)  # from the first line of a crop
        # MPS gathers from a copy of the whole view of overlapping lines: of one batch, not of all images.
        self._selects_first = device.type == "mps"
        self._mean = torch.tensor(statistics.mean, device=device)
        components = torch.tensor(statistics.eigenvectors) * torch.tensor(statistics.eigenvalues)
        self._components = components.mul(augmentation.color_shift).to(device)

    def __len__(self) -> int:
        return len(self._padded)

    def pad(self, images: NDArray[np.uint8]) -> Tensor:
        """Pad images (n, channels, height, width) by reflection; return (n, height, width, channels).

        By NumPy: PyTorch would start a thread pool for each calling thread, whose busy waiting slows training by a
        tenth.
        """
        rows, columns = self._border
        border = ((0, 0), (rows, rows), (columns, columns), (0, 0))
        return torch.from_numpy(np.ascontiguousarray(np.pad(images.transpose(0, 2, 3, 1), border, mode="reflect")))

    def replace(self, padded: Tensor) -> None:
        """Replace all images by these, from `pad`; in the same memory, if their number is the same."""
        if len(padded) == len(self._padded):
            self._padded.copy_(padded, non_blocking=padded.is_pinned())
        else:
            self._padded = padded.to(self._padded.device)

    def iter_batches(self, batches: Tensor, shard: slice = WHOLE) -> Generator[Tensor, None, None]:
        """Yield each of `batches` (steps, batch), which are row numbers; all images are on the device already."""
        yield from batches

    def batch(self, rows: Tensor, generator: torch.Generator, shard: slice = WHOLE) -> Tensor:
        """Return the images `rows` (batch,), augmented and normalized: float32 (batch, channels, height, width).

        With a `shard`, only that shard. The augmentation of an image depends on its position among the rows, not on the
        shard.
        """
        picked = self._mirror_randomly(self._crop(rows, generator, shard), len(rows), generator, shard)
        return normalize(picked.permute(0, 3, 1, 2), self._mean - self._draw_color_shifts(len(rows), generator)[shard])

    def _crop(self, rows: Tensor, generator: torch.Generator, shard: slice) -> Tensor:
        """Crop the images of a shard: (shard, height, width, channels), 0-255, uint8, or float32 if enlarged."""
        if self._scale_jitter > 1:
            whole, size = self._padded.index_select(0, rows[shard]), (self._height, self._width)
            return sample_enlarged(whole, size, self._scale_jitter, generator, len(rows), shard)
        _, height, width, channels = self._padded.shape
        y, x = (
            torch.randint(spare + 1, (len(rows),), device=rows.device, generator=generator)[shard]
            for spare in (height - self._height, width - self._width)
        )
        padded, rows = self._padded, rows[shard]
        if self._selects_first:
            padded, rows = padded.index_select(0, rows), torch.arange(len(rows), device=rows.device)
        lines = padded.as_strided(  # all runs of `width` pixels, from every start
            (padded.numel() // channels - self._width + 1, self._width * channels), (channels, 1)
        )
        first = x.add(y.add(rows, alpha=height), alpha=width)
        index = first[:, None] + self._lines
        return lines.index_select(0, index.flatten()).view(len(first), self._height, self._width, channels)

    def _mirror_randomly(self, images: Tensor, batch: int, generator: torch.Generator, shard: slice) -> Tensor:
        """Mirror a random half of the images (shard, height, width, channels)."""
        if not self._flip:
            return images
        mirrored = torch.rand(batch, device=images.device, generator=generator)[shard] < 0.5
        return _mirror_by_index(images, mirrored) if images.device.type == "cpu" else _mirror(images, mirrored)

    def _draw_color_shifts(self, batch: int, generator: torch.Generator) -> Tensor:
        """Draw colour shifts (batch, channels), 0-1 scale: eigenvectors @ (eigenvalues * N(0, `color_shift`)).

        The eigenvalues, not their square roots (AlexNet, NIPS 2012, section 4.1).
        """
        factors = torch.randn(batch, self._components.shape[1], device=self._mean.device, generator=generator)
        return factors @ self._components.T


def _mirror(images: Tensor, mirrored: Tensor) -> Tensor:
    """Mirror the images (batch, height, width, channels) that are marked, by few kernels."""
    return torch.where(mirrored[:, None, None, None], images.flip(2), images)


def _mirror_by_index(images: Tensor, mirrored: Tensor) -> Tensor:
    """Return the same as `_mirror`; a CPU copies whole images faster than it chooses pixels."""
    either = torch.cat([images, images.flip(2)])
    return either.index_select(0, torch.arange(len(images)) + len(images) * mirrored)
