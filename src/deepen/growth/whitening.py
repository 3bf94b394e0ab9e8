"""Initial weights of the layer that whitens patches of images (arXiv 2404.00498, section 3.2)."""

from collections.abc import Sequence
from math import isqrt

import numpy as np

from deepen.models.layers import WHITEN, Layer
from deepen.models.tensors import State

_LEAST_VARIANCE = 3e-5  # added to each variance, on the 0-1 scale; patches hardly vary along the last components


def compute_whitening(layers: Sequence[Layer], patch_covariance: Sequence[Sequence[float]]) -> State:
    """Compute the tensors of the whitening layer; empty for layers without one.

    Each filter is a principal component divided by its standard deviation, largest first, followed by their negatives,
    since the ReLU keeps only one sign. The covariance of 2x2 patches is that of the corners of 3x3 patches.

    Parameters
    ----------
    layers : sequence of Layer
    patch_covariance : (9 * channels) sequences of as many float
        That of data.patches.compute_patch_covariance.
    """
    layer = next((layer for layer in layers if layer.role == WHITEN), None)
    if layer is None:
        return {}
    channels, filters, kernel = layer.inputs[0], layer.outputs[0], layer.kernel
    side = isqrt(len(patch_covariance) // channels)
    covariance = np.array(patch_covariance).reshape(channels, side, side, channels, side, side)
    corner = covariance[:, :kernel, :kernel, :, :kernel, :kernel]
    size = channels * kernel**2
    variances, components = np.linalg.eigh(corner.reshape(size, size))
    chosen = np.argsort(-variances, kind="stable")[: filters // 2]
    rows = (components[:, chosen] / np.sqrt(variances[chosen] + _LEAST_VARIANCE)).T
    rows *= np.where(rows[range(len(rows)), np.abs(rows).argmax(1)] < 0, -1, 1)[:, None]  # eigh leaves signs undefined
    weight = np.concatenate([rows, -rows]).reshape(filters, channels, kernel, kernel).astype(np.float32)
    return {f"{WHITEN}.weight": weight, f"{WHITEN}.bias": np.zeros(filters, np.float32)}
