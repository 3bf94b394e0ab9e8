"""Flip, crop and colour shift of whole batches, on the device that holds the images."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from deepen.statistics import Statistics


def normalize(images: Tensor, mean: Tensor) -> Tensor:
    """uint8 (batch, channels, height, width), 0-255 -> float32 on the 0-1 scale minus the channel mean (channels,)."""
    return images.to(torch.float32, memory_format=torch.channels_last).div_(255).sub_(mean[:, None, None])


@dataclass(frozen=True)
class Augmentation:
    """What may be done to an image without changing its class.

    `flip`: mirrored, every other time on average. `crop`: moved by up to this fraction of its height and width, what is
    beyond the edge reflected. `color_shift`: standard deviation of the factor on each principal component of colour.
    """

    flip: bool
    crop: float
    color_shift: float

    def pad(self, images: Tensor) -> Tensor:
        """Images (n, channels, height, width) with a reflected border as wide as a crop may move."""
        height, width = images.shape[2:]
        rows, columns = round(self.crop * height), round(self.crop * width)
        if rows == columns == 0:
            return images
        return functional.pad(images, (columns, columns, rows, rows), mode="reflect")

    def draw(self, padded: Tensor, rows: Tensor, size: tuple[int, int], generator: torch.Generator) -> Tensor:
        """The images `rows` (batch,) of a padded set, cropped to `size` and flipped: uint8 (batch, channels, *size).

        Crop and flip are one lookup: each image has the rows and columns of pixels that it takes.
        """
        batch, device = len(rows), padded.device
        y, x = (torch.arange(side, device=device).expand(batch, side) for side in size)
        if self.flip:
            mirrored = torch.rand(batch, 1, device=device, generator=generator) < 0.5
            x = torch.where(mirrored, size[1] - 1 - x, x)
        spare = [have - want + 1 for have, want in zip(padded.shape[2:], size, strict=True)]
        if max(spare) > 1:
            offsets = [torch.randint(n, (batch, 1), device=device, generator=generator) for n in spare]
            y, x = y + offsets[0], x + offsets[1]
        picked: Tensor = padded[
            rows[:, None, None], :, y[:, :, None], x[:, None, :]
        ]  # (batch, height, width, channels)
        return picked.permute(0, 3, 1, 2)

    def shift_colors(self, images: Tensor, statistics: Statistics, generator: torch.Generator) -> Tensor:
        """Add to every pixel of an image one colour: eigenvectors @ (eigenvalues * N(0, `color_shift`)), 0-1 scale.

        `images` is (batch, channels, height, width). The factors are drawn once an image and use (AlexNet, NIPS 2012,
        section 4.1); the eigenvalues themselves, not their roots, as there.
        """
        if self.color_shift == 0:
            return images
        components = torch.tensor(statistics.eigenvectors, device=images.device) * torch.tensor(
            statistics.eigenvalues, device=images.device
        )
        factors = torch.randn(len(images), components.shape[1], device=images.device, generator=generator)
        shift = factors.mul_(self.color_shift) @ components.T  # (batch, channels)
        return images.add_(shift[:, :, None, None])
