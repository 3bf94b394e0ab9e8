"""Scale jitter: views of images that were enlarged, each by a factor of its own, from any place of them."""

import torch
from torch import Tensor
from torch.nn import functional


def enlarged(
    images: Tensor,
    size: tuple[int, int],
    most: float,
    generator: torch.Generator,
    batch: int | None = None,
    part: slice = slice(None),
) -> Tensor:
    """A view of `size` (height, width) of each image (batch, height, width, channels), enlarged by 1 to `most`.

    The factors are uniform, and the places too; sampling is bilinear. They are drawn for a `batch` where the images are
    but a `part` of one. Returns float32 (part, height, width, channels), 0-255 as the images are. Training at multiple
    scales in arXiv 1409.1556, section 3.1: the smallest training scale S there is the side of the images here, and S up
    to 512 with images of 256 is `most` 2.
    """
    batch, device = len(images) if batch is None else batch, images.device
    random = (torch.rand(batch, 1, device=device, generator=generator)[part] for _ in range(3))
    factor = 1 + (most - 1) * next(random)
    y, x = (_places(seen, side, factor, next(random)) for seen, side in zip(size, images.shape[1:3], strict=True))
    grid = torch.stack([x[:, None, :].expand(-1, size[0], -1), y[:, :, None].expand(-1, -1, size[1])], dim=3)
    pixels = images.permute(0, 3, 1, 2).float()
    return functional.grid_sample(pixels, grid, align_corners=True).permute(0, 2, 3, 1)


def _places(seen: int, side: int, factor: Tensor, place: Tensor) -> Tensor:
    """Where `seen` pixels of an enlarged image lie in it, along a side: (batch, seen), -1 its first pixel, 1 its last.

    `factor` and `place` (0-1) are (batch, 1).
    """
    length = seen / factor  # in pixels of the image
    middles = (torch.arange(seen, device=factor.device) + 0.5) * (length / seen) - 0.5
    pixels = (place * (side - length) + middles).clamp(0, side - 1)  # beyond the outer pixels' middles they go on
    return 2 * pixels / max(1, side - 1) - 1
