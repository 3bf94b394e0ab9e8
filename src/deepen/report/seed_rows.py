"""The results of several seeds as rows, sentences and CSV: means, differences paired by seed, and their intervals."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from tabulate import tabulate

from deepen.core.counts import pluralize
from deepen.core.errors import quote
from deepen.evaluation.seed_statistics import Sample, describe_limits, format_count
from deepen.report.spreadsheets import format_csv
from deepen.report.tables import choose_unit
from deepen.report.training_notes import describe_excess, describe_patience, describe_warnings
from deepen.seeds.table import SeedTable

INTERVAL = "95 % interval over seeds"  # those over test images have another heading
_NONE = "-"  # one seed has no interval

TextRows = list[dict[str, str]]


def make_accuracy_rows(table: SeedTable) -> TextRows:
    """Return a row per model: number of seeds, mean top-1 (percent) with its interval, and training compute."""
    size, unit = choose_unit(max((each.trainings.flops or 0 for each in table.models), default=0))
    return [
        {
            "model": quote(each.model),
            **format_sample(each.top1, "mean top-1", ""),
            unit: _NONE if each.trainings.flops is None else f"{each.trainings.flops / size:.4g}",
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
    interval = "{:{s}.2f} to {:{s}.2f}".format(*sample.shown_interval, s=sign) if sample.shown_interval else _NONE
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
    place = f"{one} is {points} {'below' if sample.mean < 0 else 'above'} {other}"
    if points.startswith("0.00"):
        place = f"{one} and {other} have equal top-1 on average"
    if sample.shown_interval is None:
        return f"{place} with one seed, which has no interval"
    low, high = sample.shown_interval
    interval = f"(95 % interval over {len(sample.values)} seeds {low:.2f} to {high:.2f})"
    if low > 0:
        return f"{one} gains {points} over {other} {interval}"
    if high < 0:
        return f"{one} loses {points} against {other} {interval}"
    return f"{place} {interval}: no clear difference"


def _describe_compute(table: SeedTable, baseline: str) -> str:
    """Return a half-sentence on the compute of a baseline beside that of the ladder; empty for other models."""
    flops = {each.model: each.trainings.flops for each in table.models}
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


def list_notes(table: SeedTable) -> list[str]:
    """Return the notes of a group, and those on its trainings and its intervals."""
    samples = [each.top1 for each in table.models] + [sample for *_, sample in table.differences()]
    return [*table.notes, *_describe_trainings(table), *describe_limits(samples)]


def _describe_trainings(table: SeedTable) -> Iterator[str]:
    """Yield notes on warnings, and on baselines whose training is not like that of their ladder."""
    trainings = {each.model: each.trainings for each in table.models}
    for each in table.models:
        yield from describe_warnings(each.model, each.trainings.own)
    for baseline, model in table.baselines.items():
        own, ladder = trainings[baseline].flops, trainings[model].flops if model in trainings else None
        if own and ladder:
            yield from describe_excess(baseline, own, ladder)
            yield from describe_patience(baseline, trainings[model].first)


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
    blocks.append(wrap([f"Note: {each}." for each in list_notes(table)], form))
    return "\n\n".join(filter(None, blocks))


def wrap(sentences: Sequence[str], form: str) -> str:
    """Join sentences, each on lines of its own of at most 80 characters, or with `pipe` as Markdown paragraphs."""
    if form == "pipe":
        return "\n\n".join(sentences)
    options: dict[str, Any] = {"subsequent_indent": "  ", "break_long_words": False, "break_on_hyphens": False}
    return "\n".join(textwrap.fill(each, 80, **options) for each in sentences)


def format_seed_csv(table: SeedTable) -> str:
    """Format a line per model and per difference, with the value of each seed, as CSV; intervals are not cut."""
    rows = [_make_csv_row(table, each.model, "", each.top1, each.trainings.flops) for each in table.models]
    rows += [_make_csv_row(table, one, other, sample, None) for one, other, sample in table.differences()]
    return format_csv(rows)


def _make_csv_row(table: SeedTable, one: str, other: str, sample: Sample, flops: float | None) -> dict[str, Any]:
    row = {"model": one, "minus": other, **list_numbers(sample, "mean")}
    row["training FLOP"] = None if flops is None else round(flops)
    return row | list_values(sample, table.seeds)


def list_numbers(sample: Sample, heading: str) -> dict[str, Any]:
    """Return the number of seeds, the mean below `heading`, and its interval as computed, to 4 decimals."""
    low, high = sample.interval or (None, None)
    numbers = {heading: sample.mean, "seed interval low": low, "seed interval high": high}
    return {"seeds": len(sample.values)} | {name: round_value(value) for name, value in numbers.items()}


def list_values(sample: Sample, seeds: Sequence[int]) -> dict[str, float | None]:
    """Return the value of each seed, to 4 decimals."""
    return {f"seed {seed}": round_value(sample.values.get(seed)) for seed in seeds}


def round_value(value: float | None) -> float | None:
    """Round a number of percent or points to 4 decimals, as metrics/*.json have them."""
    return None if value is None else round(value, 4) + 0.0  # never -0.0
