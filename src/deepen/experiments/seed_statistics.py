"""Means over seeds and their 95 % intervals by Student's t distribution, also of differences paired by seed.

These intervals cover other seeds. Those of evaluation/intervals.py cover other test images of one run.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
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
        if len(self.values) < 2:
            return None
        error = float(sem(list(self.values.values())))
        half = float(t.ppf((1 + CONFIDENCE) / 2, len(self.values) - 1)) * error
        return self.mean - half, self.mean + half


def subtract(one: Sample, other: Sample) -> Sample:
    """Return `one` minus `other` for each seed that both have."""
    return Sample({seed: value - other.values[seed] for seed, value in one.values.items() if seed in other.values})


def format_count(seeds: int) -> str:
    """Format a number of seeds, in words if it is one."""
    return "one seed" if seeds == 1 else f"{seeds} seeds"
