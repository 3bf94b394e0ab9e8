"""How sure an accuracy is."""

import math
from statistics import NormalDist

_Z = NormalDist().inv_cdf(0.975)  # 95 % of normal numbers lie within so many standard deviations


def wilson_interval(correct: int, images: int) -> tuple[float, float]:
    """Where an accuracy (percent) lies with 95 % confidence, of which so many images are a sample (Wilson, 1927)."""
    share = correct / images
    middle = share + _Z**2 / (2 * images)
    half = _Z * math.sqrt(share * (1 - share) / images + (_Z / (2 * images)) ** 2)
    low, high = ((middle + sign * half) / (1 + _Z**2 / images) for sign in (-1, 1))
    return round(100 * max(0.0, low), 4), round(100 * min(1.0, high), 4)
