"""Means over seeds and their t-intervals, against those of scipy's t-tests."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp, ttest_rel

from deepen.evaluation.seed_statistics import Sample, compute_mean_interval, describe_limits, format_count, subtract

ONE = Sample({0: 95.1, 1: 94.2, 2: 96.4, 7: 95.0})
OTHER = Sample({2: 94.9, 1: 93.9, 0: 94.0, 5: 10.0})


def test_the_mean_and_its_interval_are_those_of_student():
    expected = ttest_1samp(list(ONE.values.values()), 0).confidence_interval(0.95)
    assert ONE.mean == pytest.approx(95.175)
    assert ONE.interval == pytest.approx((expected.low, expected.high))


def test_a_difference_is_paired_by_seed_and_leaves_out_seeds_of_one():
    difference = subtract(ONE, OTHER)
    assert difference.values == pytest.approx({0: 1.1, 1: 0.3, 2: 1.5})
    expected = ttest_rel([95.1, 94.2, 96.4], [94.0, 93.9, 94.9]).confidence_interval(0.95)
    assert difference.interval == pytest.approx((expected.low, expected.high))


def test_half_an_interval_is_unknown_for_fewer_than_two_values():
    mean, half = compute_mean_interval(np.array([80.0, 82.0, 87.0]))
    expected = ttest_1samp([80.0, 82.0, 87.0], 0).confidence_interval(0.95)
    assert (mean, 2 * half) == pytest.approx((83.0, expected.high - expected.low))
    assert compute_mean_interval([5.0]) == pytest.approx((5.0, np.nan), nan_ok=True)
    assert compute_mean_interval(np.array([])) == pytest.approx((np.nan, np.nan), nan_ok=True)


def test_an_interval_is_shown_without_impossible_values_and_computed_with_them():
    wide = Sample({0: 90.0, 1: 99.0})
    assert wide.interval == pytest.approx((94.5 - 57.18, 94.5 + 57.18), abs=0.01)
    assert wide.shown_interval == (wide.interval[0], 100.0)
    assert Sample({0: 1.0, 1: 9.0}).shown_interval[0] == 0.0
    difference = subtract(wide, Sample({0: 95.0, 1: 60.0}))
    assert difference.shown_interval == (-100.0, 100.0)
    assert (wide.is_cut, difference.is_cut, ONE.is_cut, Sample({0: 1.0}).is_cut) == (True, True, False, False)


def test_cut_intervals_and_two_seeds_are_notes():
    assert describe_limits([ONE, Sample({0: 50.0})]) == []
    (two,) = describe_limits([ONE, Sample({0: 50.0, 1: 50.5})])
    assert "over two seeds reaches 6.4 times their difference" in two
    cut, _ = describe_limits([Sample({0: 90.0, 1: 99.0})])
    assert cut == "some intervals of top-1 are cut at 0 or 100 %: other values are impossible"
    cut, _ = describe_limits([Sample({0: -90.0, 1: 99.0}, least=-100.0)])
    assert cut == "some intervals of differences are cut at -100 or 100 points: other values are impossible"
    low, high = Sample({0: 50.0, 1: 51.0}).interval
    assert (high - low) / 2 == pytest.approx(6.4, abs=0.05)


def test_one_seed_has_no_interval():
    assert Sample({3: 90.0}).interval is None
    assert (format_count(1), format_count(2)) == ("one seed", "2 seeds")


def test_equal_values_have_an_interval_of_no_width():
    assert Sample({0: 90.0, 1: 90.0}).interval == (90.0, 90.0)
