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
MOST = 100.0  # percent, or points


@dataclass(frozen=True)
class Sample:
    """A value for each seed: a top-1 in percent, or a difference in percentage points, of which `least` is possible."""

    values: Mapping[int, float]
    least: float = 0.0

    @cached_property
    def mean(self) -> float:
        """The mean over the seeds; at least one is required."""
        return float(np.mean(list(self.values.values())))

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % t-interval of the mean over seeds; None for one seed, which says nothing about others."""
        mean, half = compute_mean_interval(list(self.values.values()))
        return (mean - half, mean + half) if len(self.values) > 1 else None

    @property
    def shown_interval(self) -> tuple[float, float] | None:
        """The interval without values that are not possible, as tables and charts show it."""
        return self.interval and (max(self.least, self.interval[0]), min(MOST, self.interval[1]))

    @property
    def is_cut(self) -> bool:
        """Whether the interval has values that are not possible."""
        return self.shown_interval != self.interval


def compute_mean_interval(values: Sequence[float] | NDArray[np.float64]) -> tuple[float, float]:
    """Return the mean, and half the width of its 95 % interval by Student's t distribution.

    Half the width is NaN for one value; without values, so is the mean.
    """
    if len(values) < 2:
        return float(np.mean(values)) if len(values) else np.nan, np.nan
    return float(np.mean(values)), float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * sem(values))


def subtract(one: Sample, other: Sample) -> Sample:
    """Return `one` minus `other` for each seed that both have."""
    values = {seed: value - other.values[seed] for seed, value in one.values.items() if seed in other.values}
    return Sample(values, least=-100.0)


def describe_limits(samples: Sequence[Sample]) -> list[str]:
    """Return notes on intervals that are cut, and on those over two seeds."""
    notes = []
    cut = {each.least for each in samples if each.is_cut}
    if Sample.least in cut:
        notes.append("some intervals of top-1 are cut at 0 or 100 %: other values are impossible")
    if cut - {Sample.least}:
        notes.append("some intervals of differences are cut at -100 or 100 points: other values are impossible")
    if any(len(each.values) == 2 for each in samples):
        notes.append(
            "an interval over two seeds reaches 6.4 times their difference to each side of the mean, and tells little; "
            "train at least three"
        )
    return notes


def format_count(seeds: int) -> str:
    """Format a number of seeds, in words if it is one."""
    return "one seed" if seeds == 1 else f"{seeds} seeds"
