"""What the models of a ladder gain, in sentences that say where a difference is not clear."""

from collections.abc import Sequence
from itertools import pairwise

from deepen.evaluation.intervals import difference, paired_difference, wilson_interval
from deepen.models.notation import count_weight_layers
from deepen.records.record import Record


def describe_gains(records: Sequence[Record]) -> list[str]:
    """A sentence a model but the first: the points of top-1 between it and the one before, and their 95 % interval."""
    return [_gain(before, record) for before, record in pairwise(records)]


def describe_best(records: Sequence[Record]) -> str:
    """A sentence on the best model: its top-1, the 95 % interval, and the models that it is not clearly better than.

    Of equally good ones the first, which is the shallowest, is the best.
    """
    best = max(records, key=lambda record: record.correct[0])
    low, high = wilson_interval(best.correct[0], best.test_images)
    equals = [each.model for each in records if each is not best and _difference(best, each)[1] <= 0]
    rest = f", not clearly better than {_listed(equals)}" if equals else ""
    return (
        f"{'Best: model' if len(records) > 1 else 'Model'} {best.model}, "
        f"{count_weight_layers(best.layers)} weight layers, "
        f"with {best.metrics['top1']:.1f} % of {best.test_images:,} test images right "
        f"(95 % interval {low:.1f} to {high:.1f}){rest}."
    )


def _listed(names: Sequence[str], most: int = 3) -> str:
    """Names as people list them; where there are more than so many, how many more."""
    shown = [*names[:most], *([f"{len(names) - most} more"] if len(names) > most else [])]
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else shown[0]


def _gain(before: Record, record: Record) -> str:
    found, low, high = _difference(record, before)
    if low > 0:
        return f"{record.model} gains {_points(found)} over {before.model} ({low:.1f} to {high:.1f})"
    if high < 0:
        return f"{record.model} loses {_points(-found)} against {before.model} ({-high:.1f} to {-low:.1f})"
    way = "below" if found < 0 else "above"
    place = f"{_points(abs(found))} {way} {before.model} ({low:.1f} to {high:.1f})"
    return f"{record.model} is {place}: no clear difference"


def _difference(one: Record, other: Record) -> tuple[float, float, float]:
    """Paired where it is known which images each had right."""
    first, second = one.right_answers(), other.right_answers()
    if first is None or second is None or len(first) != len(second):
        return difference(one.correct[0], other.correct[0], one.test_images)
    return paired_difference(first, second)


def _points(value: float) -> str:
    return f"{value:.1f} point" if f"{value:.1f}" == "1.0" else f"{value:.1f} points"
