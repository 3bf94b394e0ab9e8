"""A comparison of two groups of experiments as text, Markdown, CSV and JSON."""

import json

from deepen.core.errors import quote
from deepen.report.seed_rows import describe_difference, format_rows, format_sample, wrap
from deepen.report.spreadsheets import format_csv
from deepen.seeds.comparison import GroupComparison, PairedModels


def format_comparison(comparison: GroupComparison, form: str = "plain") -> str:
    """Format the comparison for the terminal, or with `pipe` as Markdown."""
    first, second = quote(comparison.first.name), quote(comparison.second.name)
    rows = [
        {"model": each.model, first: f"{each.first.mean:.2f}", second: f"{each.second.mean:.2f}"}
        | format_sample(each.difference, "difference", "+")
        for each in comparison.models
    ]
    lines = [f"Mean top-1 in percent; differences in points, {second} minus {first}, paired by seed."]
    lines += [f"{each.model}: {describe_difference(second, first, each.difference)}." for each in comparison.models]
    lines += [f"Different settings: {'; '.join(comparison.settings)}."] if comparison.settings else []
    lines += [f"Note: {note}." for note in comparison.notes]
    return format_rows(rows, form) + "\n\n" + wrap(lines, form)


def _list_values(paired: PairedModels) -> dict[str, object]:
    low, high = paired.difference.interval or (None, None)
    means = {"first": paired.first.mean, "second": paired.second.mean, "difference": paired.difference.mean}
    interval = {"seed interval low": low, "seed interval high": high}
    return {"model": paired.model, "seeds": len(paired.difference.values), **means, **interval}


def format_comparison_csv(comparison: GroupComparison) -> str:
    """Format a line per model, with the difference of each seed, as CSV."""
    seeds = sorted({seed for each in comparison.models for seed in each.difference.values})
    return format_csv(
        [
            _list_values(each) | {f"seed {seed}": each.difference.values.get(seed) for seed in seeds}
            for each in comparison.models
        ]
    )


def format_comparison_json(comparison: GroupComparison) -> str:
    """Format the models with the difference of each seed, the settings that differ and the notes as JSON."""
    models = [_list_values(each) | {"by seed": dict(each.difference.values)} for each in comparison.models]
    groups = {"first": comparison.first.name, "second": comparison.second.name}
    content = groups | {"models": models, "settings": comparison.settings, "notes": comparison.notes}
    return json.dumps(content, indent=1)
