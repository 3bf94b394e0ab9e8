"""The trials of a search as text: one line when a trial ends, and the table at the end."""

import re
import textwrap
from collections.abc import Mapping, Sequence

from tabulate import tabulate

from deepen.core.counts import pluralize
from deepen.core.errors import quote
from deepen.search.optuna_study import Trial, rank_trials
from deepen.search.space import Range, Space, Value

_WIDTH = 80
_LOG = re.compile(r"[;,] see \S+\.log$")  # at the end of why a trial failed


def describe_space(space: Space) -> list[str]:
    """Return a line for each varied setting: its range and scale, or its values."""
    return [f"{name.lstrip('+')}: {_describe(values)}" for name, values in space.varied.items()]


def _describe(values: Range | tuple[str, ...]) -> str:
    return str(values) if isinstance(values, Range) else f"one of {', '.join(map(format_value, values))}"


def describe_values(values: Mapping[str, Value]) -> str:
    """Return the values of a trial, for example lr 0.01, weight_decay 0.1."""
    return ", ".join(f"{shorten_name(name, values)} {format_value(value)}" for name, value in values.items())


def format_value(value: Value) -> str:
    """Format a value as in params.yaml."""
    return quote(value.strip("'")) if isinstance(value, str) else f"{value:g}"


def shorten_name(name: str, names: Mapping[str, Value]) -> str:
    """Return the last part of a setting's name if no other of the names has the same, else the name."""
    last = [each.rpartition(".")[2].lstrip("+") for each in names]
    own = name.rpartition(".")[2].lstrip("+")
    return own if last.count(own) == 1 else name.lstrip("+")


def format_search(name: str, trials: Sequence[Trial]) -> str:
    """Format the trials, best first, and what may be concluded from them."""
    ranked = rank_trials(trials)
    sentences = _describe_best(name, ranked) if ranked else ["No trial has a result yet."]
    sentences += [
        f"{name}-{each.number}, {describe_values(each.values)}: {describe_failure(name, trials[: i + 1])}"
        for i, each in enumerate(trials)
        if each.why
    ]
    text = "\n".join(textwrap.fill(each, _WIDTH, subsequent_indent="  ") for each in sentences)
    return f"{_format_table(name, ranked)}\n\n{text}" if ranked else text


def describe_failure(name: str, trials: Sequence[Trial]) -> str:
    """Return why the last of some trials failed; if an earlier one did for the same reason, the name of that."""
    *before, last = trials
    reason = _LOG.sub("", last.why)
    same = next((each for each in before if _LOG.sub("", each.why) == reason), None)
    log = _LOG.search(last.why)
    return last.why if same is None else f"the same error as {name}-{same.number}{log[0] if log else ''}"


def _format_table(name: str, ranked: Sequence[Trial]) -> str:
    names = ranked[0].values
    heads = ["trial", *(shorten_name(each, names) for each in names), "validation top-1", "95 % interval", "loss"]
    rows = [
        [
            f"{name}-{each.number}",
            *(format_value(value) for value in each.values.values()),
            f"{each.result.top1:.2f}",
            "{:.2f} to {:.2f}".format(*each.result.interval),
            f"{each.result.loss:.3f}",
        ]
        for each in ranked
        if each.result
    ]
    align = ["left", *["right"] * (len(heads) - 1)]
    table = tabulate(rows, heads, tablefmt="plain", colalign=align, disable_numparse=True)
    return "\n".join(line.rstrip() for line in table.splitlines())


def _describe_best(name: str, ranked: Sequence[Trial]) -> list[str]:
    best = ranked[0].result
    assert best is not None
    low, _ = best.interval
    within = sum(each.result is not None and each.result.top1 >= low for each in ranked[1:])
    sentences = [
        f"Best in validation: {name}-{ranked[0].number}, {best.top1:.2f} % of {pluralize(best.images, 'image')}; "
        f"{describe_values(ranked[0].values)}."
    ]
    if within:
        sentences.append(
            f"{pluralize(within, 'other trial')} {'is' if within == 1 else 'are'} within its interval: their order may "
            "be chance."
        )
    return [*sentences, "No trial saw a test image. The best of many validations is too high; only the test tells."]
