"""Sentences on what each model of a ladder gains over the one that it grew from, with 95 % intervals."""

import math
from collections.abc import Sequence

from deepen.core.counts import pluralize
from deepen.evaluation.intervals import difference, paired_difference, wilson_interval
from deepen.models.notation import count_weight_layers
from deepen.records.record import Record


def describe_gains(records: Sequence[Record]) -> list[str]:
    """Return a sentence per grown model: its difference in top-1 to the one it grew from, with a 95 % interval."""
    by_name = {record.model: record for record in records}
    return [describe_difference(by_name[record.after], record) for record in records if record.after in by_name]


def describe_best(records: Sequence[Record]) -> str:
    """Return a sentence on the best model: its top-1, the 95 % interval, and the models it is not clearly better than.

    Of equally good models, the shallowest is the best.
    """
    best = max(records, key=lambda record: (record.correct[0], -count_weight_layers(record.layers)))
    low, high = wilson_interval(best.correct[0], best.test_images)
    equals = [each.model for each in records if each is not best and _estimate_difference(best, each)[1] <= 0]
    rest = f", not clearly better than {_join_names(equals)}" if equals else ""
    return (
        f"{'Best: model' if len(records) > 1 else 'Model'} {best.model}, "
        f"{count_weight_layers(best.layers)} weight layers, "
        f"with {best.metrics['top1']:.1f} % of {pluralize(best.test_images, 'test image')} right "
        f"(95 % interval {low:.1f} to {high:.1f}){rest}."
    )


def _join_names(names: Sequence[str], most: int = 3) -> str:
    """Join names with commas and "and"; if there are more than `most`, say how many more."""
    shown = [*names[:most], *([f"{len(names) - most} more"] if len(names) > most else [])]
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else shown[0]


def describe_difference(before: Record, record: Record) -> str:
    """Return a sentence on the difference in top-1 of a model to another, with its 95 % interval over test images."""
    gain, low, high = _estimate_difference(record, before)
    one, other, decimals = record.model, before.model, _count_decimals(gain)
    points, *bounds = (_format(value, decimals) for value in (abs(gain), low, high, -high, -low))
    points += " point" if points == "1.0" else " points"
    interval, of_loss = (f"({lowest} to {highest})" for lowest, highest in (bounds[:2], bounds[2:]))
    if low > 0:
        return f"{one} gains {points} over {other} {interval}"
    if high < 0:
        return f"{one} loses {points} against {other} {of_loss}"
    if gain == 0:
        return f"{one} and {other} have equal top-1 {interval}: no clear difference"
    return f"{one} is {points} {'below' if gain < 0 else 'above'} {other} {interval}: no clear difference"


def _estimate_difference(one: Record, other: Record) -> tuple[float, float, float]:
    """Return the difference in top-1 (points) and its 95 % interval, paired if correct images are known for both."""
    first, second = one.right_answers(), other.right_answers()
    if first is None or second is None or len(first) != len(second):
        return difference(one.correct[0], other.correct[0], one.test_images)
    return paired_difference(first, second)


def _count_decimals(gain: float) -> int:
    """Return one decimal, or as many as a smaller difference needs, so that it does not round to zero."""
    return 1 if gain == 0 or abs(gain) >= 0.05 else math.ceil(-math.log10(abs(gain)))


def _format(value: float, decimals: int) -> str:
    return f"{round(value, decimals) + 0.0:.{decimals}f}"  # + 0.0: never -0.0
