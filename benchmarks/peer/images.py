"""Training images of the peer on a device: normalized, shifted by up to two pixels, flipped in every other epoch."""

import numpy as np
import torch
from torch import Tensor

from deepen.core.errors import InputError
from deepen.core.seeding import make_generator
from deepen.data.images import ImageSet
from deepen.data.statistics import Statistics


class Normalization:
    """Subtract each channel's mean, and divide by its standard deviation."""

    def __init__(self, statistics: Statistics, device: torch.device) -> None:
        variances = (np.array(statistics.eigenvectors) ** 2) @ np.array(statistics.eigenvalues)
        if not (variances > 0).all():
            raise InputError("the peer divides by the standard deviation of each channel, and one is 0; leave it out")
        self._mean = 255 * torch.tensor(statistics.mean, device=device)
        self._scale = 1 / (255 * torch.tensor(np.sqrt(variances), dtype=torch.float32, device=device))

    def __call__(self, images: Tensor) -> Tensor:
        """Return float32 (batch, channels, height, width), channels-last, of uint8 (batch, height, width, channels)."""
        return images.float().sub_(self._mean).mul_(self._scale).permute(0, 3, 1, 2)


class AlternatingImages:
    """Training images to draw batches from.

    A random half is mirrored in the first epoch, the other half in the second, and so on in turns (arXiv 2404.00498,
    section 3.6). Each image is shifted by up to `shift` pixels, over a reflected border.
    """

    def __init__(
        self, images: ImageSet, normalize: Normalization, *, shift: int, seed: int, device: torch.device
    ) -> None:
        pixels = np.array(images.images).transpose(0, 2, 3, 1)
        self.whole = torch.from_numpy(np.ascontiguousarray(pixels)).to(device)
        border = ((0, 0), (shift, shift), (shift, shift), (0, 0))
        self._padded = torch.from_numpy(np.pad(pixels, border, mode="reflect")).to(device)
        self.labels = torch.from_numpy(images.labels).to(device)
        self._normalize, self._shift, self._seed = normalize, shift, seed
        self._mirrored = torch.zeros(len(images), dtype=torch.bool, device=device)
        self._offsets = torch.zeros(len(images), 2, dtype=torch.int64, device=device)

    def start_epoch(self, epoch: int) -> torch.Generator:
        """Draw mirrored images and shifts of an epoch, counted from 0; return the generator for the order of images."""
        count, device = len(self.labels), self.labels.device
        flips = make_generator(device, self._seed, "peer", "flips")
        self._mirrored.copy_((torch.rand(count, generator=flips, device=device) < 0.5) ^ bool(epoch % 2))
        generator = make_generator(device, self._seed, "peer", "order", epoch)
        self._offsets.copy_(torch.randint(2 * self._shift + 1, (count, 2), generator=generator, device=device))
        return generator

    def batch(self, rows: Tensor) -> Tensor:
        """Return the normalized images `rows` (batch,), shifted and mirrored."""
        height, width = self.whole.shape[1:3]
        top, left = self._offsets[rows].unbind(1)
        y = top[:, None] + torch.arange(height, device=rows.device)
        columns = torch.arange(width, device=rows.device)
        x = left[:, None] + torch.where(self._mirrored[rows, None], columns.flip(0), columns)
        return self._normalize(self._padded[rows[:, None, None], y[:, :, None], x[:, None, :]])
