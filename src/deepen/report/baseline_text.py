"""The baselines of a run as text: top-1 and compute beside those of the ladder."""

from collections.abc import Iterator, Sequence

from deepen.core.counts import pluralize
from deepen.core.errors import quote
from deepen.experiments.own_baselines import OwnBaseline
from deepen.models.notation import count_weight_layers
from deepen.report.gains import describe_difference
from deepen.report.seed_rows import format_excess, format_rows, wrap
from deepen.report.tables import format_interval
from deepen.report.training_notes import describe_excess, describe_patience, describe_weakness


def format_baselines(baselines: Sequence[OwnBaseline]) -> str:
    """Format a row per baseline, and what its model gains over it, with an interval over test images."""
    rows = [
        {
            "model": quote(each.baseline.model),
            "weight layers": str(count_weight_layers(each.baseline.layers)),
            "parameters": f"{each.baseline.parameters:,}",
            "top-1": f"{each.baseline.metrics['top1']:.2f}",
            "95 % interval": format_interval(each.baseline),
        }
        for each in baselines
    ]
    lines = [sentence for each in baselines for sentence in _describe(each)]
    return "Trained from scratch, one seed:\n\n" + format_rows(rows) + "\n\n" + wrap(lines, "plain")


def _describe(each: OwnBaseline) -> Iterator[str]:
    name, flops, ladder = each.baseline.model, each.baseline.flops, _sum_ladder(each)
    yield describe_difference(each.baseline, each.ladder[-1])
    yield _describe_compute(each)
    notes = [*describe_excess(name, flops, ladder), *describe_patience(name, each.ladder)]
    yield from (f"Note: {note}" for note in notes)
    if warning := describe_weakness(each.baseline):
        yield f"Warning: {quote(name)}: {warning}"


def _sum_ladder(each: OwnBaseline) -> int:
    return sum(record.flops for record in each.ladder)


def _describe_compute(each: OwnBaseline) -> str:
    compute = format_excess(each.baseline.flops, _sum_ladder(each))
    epochs = pluralize(len(each.baseline.training.epochs), "epoch")
    ladder = ", ".join(quote(record.model) for record in each.ladder)
    return f"{quote(each.baseline.model)} was trained for {epochs}, with {compute} ({ladder})"
