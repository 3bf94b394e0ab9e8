"""Scale jitter: random crops of images that are enlarged by random factors."""

import torch
from torch import Tensor
from torch.nn import functional


def sample_enlarged(
    images: Tensor,
    size: tuple[int, int],
    most: float,
    generator: torch.Generator,
    batch: int | None = None,
    shard: slice = slice(None),
) -> Tensor:
    """Return a random view of `size` (height, width) of each image (batch, height, width, channels), enlarged.

    Factors, from 1 to `most`, and positions are uniform; sampling is bilinear. They are drawn for the whole `batch` if
    the images are a `shard` of it. Returns float32 (shard, height, width, channels), 0-255 like the images. This is
    multi-scale training of arXiv 1409.1556, section 3.1: the smallest scale S there is the side of the images here, and
    S up to 512 with images of 256 is `most` 2.
    """
    batch, device = len(images) if batch is None else batch, images.device
    random = (torch.rand(batch, 1, device=device, generator=generator)[shard] for _ in range(3))
    factor = 1 + (most - 1) * next(random)
    y, x = (
        _sample_positions(view, side, factor, next(random)) for view, side in zip(size, images.shape[1:3], strict=True)
    )
    grid = torch.stack([x[:, None, :].expand(-1, size[0], -1), y[:, :, None].expand(-1, -1, size[1])], dim=3)
    pixels = images.permute(0, 3, 1, 2).float()
    return functional.grid_sample(pixels, grid, align_corners=True).permute(0, 2, 3, 1)


def _sample_positions(view: int, side: int, factor: Tensor, position: Tensor) -> Tensor:
    """Return the coordinates of `view` pixels along a side of an image: (batch, view), from -1, its first pixel, to 1.

    `factor` and `position` (0-1) are (batch, 1).
    """
    length = view / factor  # in pixels of the image
    centers = (torch.arange(view, device=factor.device) + 0.5) * (length / view) - 0.5
    pixels = (position * (side - length) + centers).clamp(0, side - 1)  # clamp to the centres of the outer pixels
    return 2 * pixels / max(1, side - 1) - 1
