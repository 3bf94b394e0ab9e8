"""95 % confidence intervals of accuracies and of their differences, from the number of test images."""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

_Z = NormalDist().inv_cdf(0.975)  # standard errors on each side of a 95 % interval


def wilson_interval(correct: int, images: int) -> tuple[float, float]:
    """Return the 95 % confidence interval (percent) of an accuracy (Wilson, 1927)."""
    low, high = _compute_wilson(correct, images)
    return round(100 * low, 4), round(100 * high, 4)


def _compute_wilson(correct: int, images: int) -> tuple[float, float]:
    """Return the interval as fractions."""
    share, squared = correct / images, _Z**2 / images
    middle, half = share + squared / 2, math.sqrt(squared * (share * (1 - share) + squared / 4))
    return max(0.0, (middle - half) / (1 + squared)), min(1.0, (middle + half) / (1 + squared))


def paired_difference(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Return the accuracy of `one` minus that of `other` in percentage points, and its 95 % confidence interval.

    Both say whether a model classified each test image correctly, in the same order: bool (images,). Their correlation
    narrows the interval (Newcombe, Statistics in Medicine 17, 2635-2650, 1998, method 10).
    """
    both, neither = int((one & other).sum()), int((~one & ~other).sum())
    return difference(
        int(one.sum()), int(other.sum()), len(one), _compute_phi(both, int(one.sum()), int(other.sum()), neither)
    )


def difference(one: int, other: int, images: int, correlation: float = 0.0) -> tuple[float, float, float]:
    """Return the same for two counts of correct answers out of `images`; correlation 0 means different images."""
    (p, low_p, high_p), (q, low_q, high_q) = ((n / images, *_compute_wilson(n, images)) for n in (one, other))
    below, above = (
        math.sqrt(max(0.0, a**2 - 2 * correlation * a * b + b**2))
        for a, b in ((p - low_p, high_q - q), (high_p - p, q - low_q))
    )
    return 100 * (p - q), 100 * (p - q - below), 100 * (p - q + above)


def _compute_phi(both: int, one: int, other: int, neither: int) -> float:
    """Return the phi coefficient of the correct answers of two models, continuity-corrected if positive."""
    images = neither + one + other - both
    product = one * (images - one) * other * (images - other)
    if not product:
        return 0.0
    excess = both * neither - (one - both) * (other - both)
    corrected = max(0.0, excess - images / 2) if excess > 0 else excess
    return corrected / math.sqrt(product)
