"""Images beside their saliency maps, as one image set that is saved for the report."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from deepen.data.images import ImageSet

Explained = tuple[NDArray[np.float32], NDArray[np.int64]]  # maps (images, height, width); predicted classes (images,)
_PERCENTILE = 99  # of a map's values, which is drawn white: a few very high values would leave the others black


def join_tiles(
    images: NDArray[np.uint8], shown: ImageSet, names: Sequence[str], models: Sequence[Explained]
) -> ImageSet:
    """Return tiles: each image, followed by its map from each model.

    `images` (images, channels, height, width) are those of `shown` as the networks see them. The label of an image is
    its class, that of a map the class that the model predicts. All tiles of an image have its name.
    """
    maps = [np.broadcast_to(shade(each)[:, None], images.shape) for each, _ in models]
    stored = np.stack([images, *maps], axis=1).reshape(-1, *images.shape[1:])
    labels = np.stack([shown.labels, *(predicted for _, predicted in models)], axis=1).reshape(-1)
    files = [name for name in names for _ in range(1 + len(models))]
    return replace(shown, stored=stored, labels=labels, rows=None, file=None, files=files)


def shade(maps: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Turn maps (images, height, width) into shades, 0-255; each map has its own scale."""
    white = np.percentile(maps, _PERCENTILE, axis=(1, 2), keepdims=True)
    return (255 * np.clip(maps / np.maximum(white, 1e-12), 0, 1)).round().astype(np.uint8)
