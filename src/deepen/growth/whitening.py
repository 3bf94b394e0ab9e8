"""Initial weights of the layer that whitens patches of images (arXiv 2404.00498, section 3.2)."""

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from deepen.models.layers import WHITEN, Layer
from deepen.models.tensors import State

SIDE = 3  # pixels of the largest patch
_LEAST_VARIANCE = 3e-5  # added to each variance, on the 0-1 scale; patches hardly vary along the last components


def find_whitening_faults(layers: Sequence[Layer]) -> Iterator[str]:
    """Yield a fault if the whitening layer has more filters than two for each principal component of its patches."""
    for layer in layers:
        most = 2 * prod((layer.inputs[0], layer.kernel, layer.kernel))
        if layer.role == WHITEN and layer.outputs[0] > most:
            yield (
                f"whiten{layer.kernel}-{layer.outputs[0]} has more filters than its patches have principal components "
                f"and their negatives; write at most whiten{layer.kernel}-{most}"
            )


def compute_whitening(layers: Sequence[Layer], covariance: NDArray[np.float64]) -> State:
    """Compute the tensors of the whitening layer; empty for layers without one.

    Each filter is a principal component divided by its standard deviation, largest first, followed by their negatives,
    since the ReLU keeps only one sign.

    Parameters
    ----------
    layers : sequence of Layer
    covariance : array (channels * 9, channels * 9)
        Of the values of 3x3 patches on the 0-1 scale, ordered by channel, row and column.
    """
    layer = next((layer for layer in layers if layer.role == WHITEN), None)
    if layer is None:
        return {}
    channels, filters, kernel = layer.inputs[0], layer.outputs[0], layer.kernel
    corner = covariance.reshape(channels, SIDE, SIDE, channels, SIDE, SIDE)[:, :kernel, :kernel, :, :kernel, :kernel]
    size = channels * kernel**2
    variances, components = np.linalg.eigh(corner.reshape(size, size))
    chosen = np.argsort(-variances, kind="stable")[: filters // 2]
    rows = (components[:, chosen] / np.sqrt(variances[chosen] + _LEAST_VARIANCE)).T
    rows *= np.where(rows[range(len(rows)), np.abs(rows).argmax(1)] < 0, -1, 1)[:, None]  # eigh leaves signs undefined
    weight = np.concatenate([rows, -rows]).reshape(filters, channels, kernel, kernel).astype(np.float32)
    return {f"{WHITEN}.weight": weight, f"{WHITEN}.bias": np.zeros(filters, np.float32)}
