"""Means over seeds and their 95 % intervals by Student's t distribution, also of differences paired by seed.

These intervals cover other seeds. Those of evaluation/intervals.py cover other test images of one run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.stats import sem, t

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Sample:
    """A value for each seed: a top-1 in percent, or a difference in percentage points."""

    values: Mapping[int, float]

    @cached_property
    def mean(self) -> float:
        """The mean over the seeds; at least one is required."""
        return float(np.mean(list(self.values.values())))

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % t-interval of the mean over seeds; None for one seed, which says nothing about others."""
        mean, half = compute_mean_interval(list(self.values.values()))
        return (mean - half, mean + half) if len(self.values) > 1 else None


def compute_mean_interval(values: Sequence[float] | NDArray[np.float64]) -> tuple[float, float]:
    """Return the mean, and half the width of its 95 % interval by Student's t distribution.

    Half the width is NaN for one value; without values, so is the mean.
    """
    if len(values) < 2:
        return float(np.mean(values)) if len(values) else np.nan, np.nan
    return float(np.mean(values)), float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * sem(values))


def subtract(one: Sample, other: Sample) -> Sample:
    """Return `one` minus `other` for each seed that both have."""
    return Sample({seed: value - other.values[seed] for seed, value in one.values.items() if seed in other.values})


def format_count(seeds: int) -> str:
    """Format a number of seeds, in words if it is one."""
    return "one seed" if seeds == 1 else f"{seeds} seeds"
