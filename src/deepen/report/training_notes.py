"""Notes on the trainings behind a comparison: their warnings, and what makes a baseline differ from its ladder."""

from collections.abc import Iterator, Mapping, Sequence

from deepen.core.counts import pluralize
from deepen.core.errors import quote
from deepen.evaluation.intervals import wilson_interval
from deepen.records.record import Record
from deepen.report.confusion import count_class_images

_MOST_EXCESS = 5.0  # percent of compute, above which a difference in accuracy is also one of compute


def describe_weakness(record: Record) -> str:
    """Return the warning of a model's training, else one if it is not clearly better than guessing; else nothing."""
    majority = 100 * max(count_class_images(record.confusion, record.classes)) / record.test_images
    low, _ = wilson_interval(record.correct[0], record.test_images)
    balanced = record.training.settings.get("training", {}).get("class_weights") == "balanced"  # at the cost of top-1
    if record.training.warning or balanced or low > majority or majority == 100:  # a single class
        return record.training.warning
    return f"top-1 is not clearly higher than {majority:.2f} %, that of always predicting the majority class"


def describe_warnings(model: str, own: Mapping[int, Record]) -> Iterator[str]:
    """Yield the first warning of a model, whose records are by seed, and how many of its seeds have one."""
    warnings = {seed: text for seed, record in own.items() if (text := describe_weakness(record))}
    if not warnings:
        return
    seed, text = next(iter(warnings.items()))
    others = f"; {len(warnings)} of {len(own)} seeds have a warning" if len(own) > 1 else ""
    yield f"{quote(model)}, seed {seed}: {text}{others}"


def describe_patience(baseline: str, ladder: Sequence[Record]) -> Iterator[str]:
    """Yield a note if models of the ladder were trained with `patience`, which a baseline is not."""
    stopped = [record for record in ladder if record.training.has_patience]
    if stopped:
        epochs = ", ".join(_describe_epochs(record) for record in stopped)
        yield (
            f"the ladder was trained with patience ({epochs}) and keeps its best epochs; {quote(baseline)} has the "
            "compute of the epochs that were trained, and keeps its last"
        )


def _describe_epochs(record: Record) -> str:
    done, planned = len(record.training.epochs), record.training.planned
    return f"{quote(record.model)}: {done:,} of {pluralize(planned, 'epoch')}"


def describe_excess(baseline: str, flops: float, ladder: float) -> Iterator[str]:
    """Yield a note if the compute of a baseline is far from that of its ladder."""
    excess = 100 * (flops / ladder - 1)
    if abs(excess) > _MOST_EXCESS:
        yield (
            f"{quote(baseline)} has {abs(excess):.1f} % {'more' if excess > 0 else 'less'} compute than the ladder, as "
            "epochs are whole; the comparison is fairer for longer trainings"
        )
