"""The results of several seeds as rows, sentences and CSV: means, differences paired by seed, and their intervals."""

import textwrap
from collections.abc import Sequence
from typing import Any

from tabulate import tabulate

from deepen.core.counts import pluralize
from deepen.core.errors import quote
from deepen.evaluation.seed_statistics import Sample, format_count
from deepen.report.spreadsheets import format_csv
from deepen.report.tables import choose_unit
from deepen.seeds.table import SeedTable

INTERVAL = "95 % interval over seeds"  # those over test images have another heading
_NONE = "-"  # one seed has no interval

TextRows = list[dict[str, str]]


def make_accuracy_rows(table: SeedTable) -> TextRows:
    """Return a row per model: number of seeds, mean top-1 (percent) with its interval, and training compute."""
    size, unit = choose_unit(max((each.flops or 0 for each in table.models), default=0))
    return [
        {
            "model": quote(each.model),
            **format_sample(each.top1, "mean top-1", ""),
            unit: _NONE if each.flops is None else f"{each.flops / size:.4g}",
        }
        for each in table.models
    ]


def make_difference_rows(table: SeedTable) -> TextRows:
    """Return a row per pair of models: the mean difference of top-1 (points), paired by seed, with its interval."""
    return [
        {"difference": f"{quote(one)} - {quote(other)}", **format_sample(sample, "mean points", "+")}
        for one, other, sample in table.differences()
    ]


def format_sample(sample: Sample, heading: str, sign: str) -> dict[str, str]:
    """Return the cells of a sample: the number of seeds, the mean below `heading`, and its interval."""
    interval = "{:{s}.2f} to {:{s}.2f}".format(*sample.interval, s=sign) if sample.interval else _NONE
    return {"seeds": format_count(len(sample.values)), heading: f"{sample.mean:{sign}.2f}", INTERVAL: interval}


def describe_differences(table: SeedTable) -> list[str]:
    """Return a sentence for each difference, which names the number of seeds that both models have."""
    return [
        describe_difference(one, other, sample) + _describe_compute(table, other)
        for one, other, sample in table.differences()
    ]


def describe_difference(one: str, other: str, sample: Sample) -> str:
    """Return a sentence on the mean of top-1 of `one` minus that of `other`, paired by seed."""
    one, other, points = quote(one), quote(other), f"{abs(sample.mean):.2f} points"
    if sample.interval is None:
        return (
            f"{one} is {points} {'below' if sample.mean < 0 else 'above'} {other} with one seed, which has no interval"
        )
    low, high = sample.interval
    interval = f"(95 % interval over {len(sample.values)} seeds {low:.2f} to {high:.2f})"
    if low > 0:
        return f"{one} gains {points} over {other} {interval}"
    if high < 0:
        return f"{one} loses {points} against {other} {interval}"
    return f"{one} is {points} {'below' if sample.mean < 0 else 'above'} {other} {interval}: no clear difference"


def _describe_compute(table: SeedTable, baseline: str) -> str:
    """Return a half-sentence on the compute of a baseline beside that of the ladder; empty for other models."""
    flops = {each.model: each.flops for each in table.models}
    ladder, own = flops.get(table.baselines.get(baseline, "")), flops.get(baseline)
    return f"; {quote(baseline)} was trained from scratch with {format_excess(own, ladder)}" if ladder and own else ""


def format_excess(flops: float, ladder: float) -> str:
    """Compare the training compute of a baseline with that of the ladder; whole epochs are the reason of a rest."""
    percent = f"{abs(100 * (flops / ladder - 1)):.2f} %"
    if percent == "0.00 %":
        return "the compute of the ladder"
    return f"{percent} {'more' if flops > ladder else 'less'} compute than the ladder"


def format_seed_caption(table: SeedTable) -> str:
    """Return what the numbers of a group are about: test images, seeds, and what the interval covers."""
    first, seeds = table.group.first, table.seeds
    images = f" on {pluralize(first.test_images, 'test image')}" if first.test_images else ""
    about = f"Top-1 in percent{images} of {quote(first.settings.get('data'))}"
    if len(seeds) == 1:
        return f"{about}, one seed ({seeds[0]}): without an interval over seeds."
    listed = ", ".join(map(str, seeds))
    covers = "The 95 % interval over seeds (Student's t) covers other seeds, not other test images."
    return f"{about}, {len(seeds)} seeds ({listed}). {covers}"


def format_rows(rows: TextRows, form: str = "plain") -> str:
    """Format rows as a table for the terminal, or in another format of tabulate such as pipe."""
    align = ["left", *["right"] * (len(rows[0]) - 1)]
    table = tabulate([list(row.values()) for row in rows], list(rows[0]), form, colalign=align, disable_numparse=True)
    return "\n".join(line.rstrip() for line in table.splitlines())


def format_seed_text(table: SeedTable, form: str = "plain") -> str:
    """Format the tables, the sentences and the notes of a group for the terminal, or with `pipe` as Markdown."""
    blocks = [format_rows(make_accuracy_rows(table), form), wrap([format_seed_caption(table)], form)]
    if table.differences():
        blocks.append(format_rows(make_difference_rows(table), form))
    blocks.append(wrap([f"{each}." for each in describe_differences(table)], form))
    blocks.append(wrap([f"Note: {each}." for each in table.notes], form))
    return "\n\n".join(filter(None, blocks))


def wrap(sentences: Sequence[str], form: str) -> str:
    """Join sentences, each on lines of its own of at most 80 characters, or with `pipe` as Markdown paragraphs."""
    if form == "pipe":
        return "\n\n".join(sentences)
    options: dict[str, Any] = {"subsequent_indent": "  ", "break_long_words": False, "break_on_hyphens": False}
    return "\n".join(textwrap.fill(each, 80, **options) for each in sentences)


def format_seed_csv(table: SeedTable) -> str:
    """Format a line per model and per difference, with the value of each seed, as CSV."""
    rows = [_make_csv_row(table, each.model, "", each.top1, each.flops) for each in table.models]
    rows += [_make_csv_row(table, one, other, sample, None) for one, other, sample in table.differences()]
    return format_csv(rows)


def _make_csv_row(table: SeedTable, one: str, other: str, sample: Sample, flops: float | None) -> dict[str, Any]:
    low, high = sample.interval or (None, None)
    row = {"model": one, "minus": other, "seeds": len(sample.values), "mean": sample.mean}
    row |= {"seed interval low": low, "seed interval high": high, "training FLOP": flops}
    return row | {f"seed {seed}": sample.values.get(seed) for seed in table.seeds}
