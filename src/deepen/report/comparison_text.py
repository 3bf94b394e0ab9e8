"""A comparison of two groups of experiments as text, Markdown, CSV and JSON."""

import json

from deepen.core.errors import quote
from deepen.evaluation.seed_statistics import describe_limits
from deepen.report.seed_rows import (
    describe_difference,
    format_rows,
    format_sample,
    list_numbers,
    list_values,
    round_value,
    wrap,
)
from deepen.report.spreadsheets import format_csv
from deepen.seeds.comparison import GroupComparison, PairedModels


def format_comparison(comparison: GroupComparison, form: str = "plain") -> str:
    """Format the comparison for the terminal, or with `pipe` as Markdown."""
    first, second = quote(comparison.first.name), quote(comparison.second.name)
    rows = [
        {
            "model": each.label,
            f"mean of {first}": f"{each.first.mean:.2f}",
            f"mean of {second}": f"{each.second.mean:.2f}",
        }
        | format_sample(each.difference, "difference", "+")
        | {"compute": _compare_compute(each)}
        for each in comparison.models
    ]
    lines = [
        f"Mean top-1 in percent; differences in points, {second} minus {first}, paired by seed.",
        f"Compute is that of all trainings up to a model: +2 % means that {second} took 2 % more.",
    ]
    lines += [f"{_describe(each, first, second)}." for each in comparison.models]
    lines += [f"Different settings: {'; '.join(comparison.settings)}."] if comparison.settings else []
    notes = [*comparison.notes, *describe_limits([each.difference for each in comparison.models])]
    lines += [f"Note: {note}." for note in notes]
    return format_rows(rows, form) + "\n\n" + wrap(lines, form)


def _describe(paired: PairedModels, first: str, second: str) -> str:
    one, other = map(quote, paired.names)
    return describe_difference(f"{other} of {second}", f"{one} of {first}", paired.difference)


def _compare_compute(paired: PairedModels) -> str:
    """Format the compute of the second model relative to that of the first."""
    first, second = paired.flops
    if not first or not second:
        return "not known"
    percent = f"{100 * (second / first - 1):+.2f} %"
    return "equal" if percent in ("+0.00 %", "-0.00 %") else percent


def _list_columns(paired: PairedModels) -> dict[str, object]:
    means = {"first": round_value(paired.first.mean), "second": round_value(paired.second.mean)}
    flops = [None if each is None else round(each) for each in paired.flops]
    compute = {"first FLOP": flops[0], "second FLOP": flops[1]}
    return {"model": paired.label, **means, **list_numbers(paired.difference, "difference"), **compute}


def format_comparison_csv(comparison: GroupComparison) -> str:
    """Format a line per model, with the difference of each seed, as CSV; intervals are not cut."""
    seeds = sorted({seed for each in comparison.models for seed in each.difference.values})
    return format_csv([_list_columns(each) | list_values(each.difference, seeds) for each in comparison.models])


def format_comparison_json(comparison: GroupComparison) -> str:
    """Format the models with the difference of each seed, the settings that differ and the notes as JSON."""
    models = [
        _list_columns(each) | {"by seed": {seed: round_value(value) for seed, value in each.difference.values.items()}}
        for each in comparison.models
    ]
    groups = {"first": comparison.first.name, "second": comparison.second.name}
    content = groups | {"models": models, "settings": comparison.settings, "notes": comparison.notes}
    return json.dumps(content, indent=1)
