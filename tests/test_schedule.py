import pytest

from deepen.config.recipes import OneCycle, Plateau
from deepen.training.lr_schedule import Schedule


def test_one_cycle_rises_to_its_peak_and_falls_to_nothing():
    schedule = Schedule(OneCycle(name="onecycle", warmup=0.3), 2.0, 100)
    rates = [schedule.compute_lr(step) / 2 for step in range(100)]
    peak = rates.index(max(rates))
    assert 28 <= peak <= 31
    assert max(rates) == pytest.approx(1, abs=0.02)
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert 0 < rates[-1] < 0.02
    assert 0 < rates[0] < 0.05


def test_the_plateau_lowers_the_rate_after_more_epochs_without_a_gain_than_its_patience():
    schedule = Schedule(Plateau(name="plateau", factor=0.1, patience=1), 0.02, 100)
    rates = []
    for top1 in (50, 60, 60, 60.01, 60, 70, 70):  # a hundredth is no gain
        schedule.update(top1)
        rates.append(schedule.compute_lr(0))
    assert rates == pytest.approx([0.02, 0.02, 0.02, 0.002, 0.002, 0.002, 0.002])
