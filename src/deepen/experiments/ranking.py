"""Rank experiments, best first, in a terminal table with the settings that differ, and summarize seeds."""

import textwrap
from collections.abc import Mapping, Sequence
from statistics import mean

from tabulate import tabulate

from deepen.core.errors import quote
from deepen.evaluation.seed_statistics import Sample, describe_limits
from deepen.experiments.differences import find_differences
from deepen.experiments.store import Experiment

MODEL = "model"
Ranked = list[tuple[Experiment, dict[str, str]]]  # each with the settings in which it differs from the others


def rank(experiments: Sequence[Experiment]) -> Ranked:
    """Sort experiments by top-1, then by loss, best first; those without results come last.

    Versions of the images or of the code are listed with the settings if they differ. So is the model whose results
    these are, which `depth` names without an effect on them.
    """
    different = [_name_model(settings) for settings in find_differences([each.settings for each in experiments])]
    for source in ("images", "code"):
        versions = list(dict.fromkeys(getattr(each, source) for each in experiments if each.metrics))
        if len(versions) > 1:  # settings alone do not explain the results
            for each, settings in zip(experiments, different, strict=True):
                if each.metrics:
                    settings[source] = f"version {versions.index(getattr(each, source)) + 1}"
    return sorted(zip(experiments, different, strict=True), key=lambda row: _sort_key(row[0].metrics))


def _name_model(settings: Mapping[str, str]) -> dict[str, str]:
    """Return settings with the value of `depth`, if it differs, as `model`."""
    named = {MODEL: settings["depth"]} if "depth" in settings else {}
    return named | {path: value for path, value in settings.items() if path != "depth"}


def _sort_key(metrics: Mapping[str, float]) -> tuple[float, float]:
    return -metrics.get("top1", -1.0), metrics.get("loss", float("inf"))


def format_ranking(ranked: Ranked, width: int) -> str:
    """Format a table: a row per experiment, a column per setting, or all settings in one column to fit in `width`."""
    paths = list(dict.fromkeys(path for _, settings in ranked for path in settings))
    heads = _choose_headings(ranked)
    for columns in ([*paths, "date"], paths):
        rows = [
            [
                *_format_numbers(each, heads),
                _format_name(each),
                *(quote({**settings, "date": each.date}.get(key, "")) for key in columns),
            ]
            for each, settings in ranked
        ]
        align = ["right"] * len(heads)
        table = tabulate(rows, [*heads, "experiment", *columns], disable_numparse=True, colalign=align)
        if max(map(len, table.splitlines())) <= width:
            return _strip_lines(table)
    return _format_narrow(ranked, width)


def _choose_headings(ranked: Ranked) -> list[str]:
    """Return the columns of numbers: the interval if any is known, balanced top-1 if it differs from top-1."""
    known = any(each.interval for each, _ in ranked)
    differs = any(
        abs(each.metrics["balanced_top1"] - each.metrics["top1"]) >= _UNEQUAL
        for each, _ in ranked
        if {"top1", "balanced_top1"} <= each.metrics.keys()
    )
    return ["top-1", *[_INTERVAL] * known, *["balanced"] * differs, "loss"]


_INTERVAL = "95 % interval"
_UNEQUAL = 0.5  # points; top-1 and balanced top-1 differ by less for classes of almost equal size


def _format_numbers(experiment: Experiment, heads: Sequence[str]) -> list[str]:
    metrics = experiment.metrics
    keys = {"top-1": "top1", "balanced": "balanced_top1", "loss": "loss"}
    cells = {head: f"{metrics[key]:.{3 if key == 'loss' else 2}f}" for head, key in keys.items() if key in metrics}
    if experiment.interval:
        cells[_INTERVAL] = "{:.2f} to {:.2f}".format(*experiment.interval)
    return [cells.get(head, "-") for head in heads]


def _format_name(experiment: Experiment) -> str:
    return quote(experiment.name) + " (workspace)" * (experiment.is_here and experiment.name != "workspace")


_LEAST, _GAP = 9, "   "  # least width of a column of numbers with its gap, in characters


def _format_narrow(ranked: Ranked, width: int) -> str:
    """Format a table with the numbers of each experiment and a wrapped column with its name and settings."""
    rows, heads = [], _choose_headings(ranked)
    room = width - sum(max(_LEAST, len(head) + len(_GAP)) for head in heads)
    for each, settings in ranked:
        listed = ", ".join(f"{path} {quote(value)}" for path, value in settings.items())
        text = f"{_format_name(each)}: {listed}" if listed else _format_name(each)
        lines = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False, subsequent_indent="  ")
        rows.append([*_format_numbers(each, heads), "\n".join(lines)])
    align = ["right"] * len(heads)
    return _strip_lines(tabulate(rows, [*heads, "experiment and its settings"], disable_numparse=True, colalign=align))


def _strip_lines(table: str) -> str:
    return "\n".join(line.rstrip() for line in table.splitlines())


def summarize_seeds(ranked: Ranked) -> list[str]:
    """Return a sentence per group of experiments that differ only in their seed: the mean of top-1, and its interval.

    The interval is over seeds; that of each experiment in the table is over test images.
    """
    groups: dict[tuple[tuple[str, str], ...], dict[int, tuple[str, float]]] = {}
    for each, settings in ranked:
        if settings.get("seed", "").isdigit() and "top1" in each.metrics:
            rest = tuple((path, value) for path, value in settings.items() if path != "seed")
            groups.setdefault(rest, {}).setdefault(int(settings["seed"]), (each.name, each.metrics["top1"]))
    several = [(rest, by_seed) for rest, by_seed in groups.items() if len(by_seed) > 1]
    several.sort(key=lambda group: -mean(top1 for _, top1 in group[1].values()))  # best first
    samples = [Sample({seed: value for seed, (_, value) in by_seed.items()}) for _, by_seed in several]
    described = [_describe_seeds(*group, top1) for group, top1 in zip(several, samples, strict=True)]
    return [*described, *(f"Note: {each}" for each in describe_limits(samples))]


def _describe_seeds(settings: Sequence[tuple[str, str]], results: Mapping[int, tuple[str, float]], top1: Sample) -> str:
    shared = "".join(f", {path} {quote(value)}" for path, value in settings)
    names = ", ".join(quote(name) for name, _ in results.values())
    low, high = top1.shown_interval or (top1.mean, top1.mean)
    values = list(top1.values.values())
    return (
        f"{len(values)} seeds{shared}: top-1 {top1.mean:.2f} on average (95 % interval over seeds {low:.2f} to "
        f"{high:.2f}), lowest {min(values):.2f}, highest {max(values):.2f} ({names})"
    )
