import numpy as np
import pytest

from deepen.evaluation.intervals import difference, paired_difference, wilson_interval


def pair(both, first, second, neither):
    """Right answers of two models: how many images both, the first or the second alone, and neither had right."""
    counts = (both, first, second, neither)
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


def test_intervals_are_those_of_wilson():
    z, share, n = 1.959964, 0.9, 360
    middle, half = share + z**2 / (2 * n), z * (share * (1 - share) / n + (z / (2 * n)) ** 2) ** 0.5
    expected = [100 * (middle + sign * half) / (1 + z**2 / n) for sign in (-1, 1)]
    assert wilson_interval(324, 360) == pytest.approx(expected, abs=1e-3)
    assert wilson_interval(5, 5)[1] == 100
    assert wilson_interval(0, 5)[0] == 0


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((36, 12, 2, 0), (20.0, 5.69, 34.04)),
        ((0, 43, 0, 0), (100, 88.40, 100)),
    ],
)
def test_paired_intervals_are_those_of_newcombes_method_10(counts, expected):
    assert paired_difference(*pair(*counts)) == pytest.approx(expected, abs=0.01)


def test_the_other_way_round_is_the_same_with_signs_turned():
    one, other = pair(200, 40, 22, 30)
    found, low, high = paired_difference(one, other)
    assert paired_difference(other, one) == pytest.approx((-found, -high, -low))
    assert difference(240, 222, 292)[2] - difference(240, 222, 292)[1] > high - low  # pairing narrows it


def test_a_correlation_within_its_continuity_correction_counts_as_none():
    one, other = pair(2, 1, 1, 1)  # both * neither - first * second = 1, and the correction is 5 / 2
    assert paired_difference(one, other) == difference(3, 3, 5)


@pytest.mark.parametrize("shares", [(0.70, 0.10, 0.05, 0.15), (0.95, 0.03, 0.005, 0.015), (0.50, 0.10, 0.10, 0.30)])
def test_paired_intervals_cover_the_truth_in_95_of_100_samples(shares):
    rng, truth = np.random.default_rng(0), 100 * (shares[1] - shares[2])
    samples = rng.multinomial(400, shares, size=2000)
    found = [paired_difference(*pair(*counts)) for counts in samples]
    assert 0.935 < np.mean([low <= truth <= high for _, low, high in found]) < 0.975
