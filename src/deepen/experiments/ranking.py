"""Experiments in a table for a terminal: best first, with the settings in which they differ, and seeds together."""

import textwrap
from collections.abc import Mapping, Sequence
from statistics import mean

from tabulate import tabulate

from deepen.core.errors import plain
from deepen.experiments.differences import differences
from deepen.experiments.store import Experiment

Ranked = list[tuple[Experiment, dict[str, str]]]  # with the settings in which it differs from others


def rank(experiments: Sequence[Experiment]) -> Ranked:
    """The experiments by top-1, then by loss, best first; last those without results.

    Where they are of different images or of different code, that is told beside the settings.
    """
    different = differences([each.settings for each in experiments])
    for what in ("images", "code"):
        found = list(dict.fromkeys(getattr(each, what) for each in experiments if each.metrics))
        if len(found) > 1:  # they can't be compared by their settings alone
            for each, settings in zip(experiments, different, strict=True):
                if each.metrics:
                    settings[what] = f"version {found.index(getattr(each, what)) + 1}"
    return sorted(zip(experiments, different, strict=True), key=lambda row: _order(row[0].metrics))


def _order(metrics: Mapping[str, float]) -> tuple[float, float]:
    return -metrics.get("top1", -1.0), metrics.get("loss", float("inf"))


def ranking(ranked: Ranked, width: int) -> str:
    """A row an experiment, a column a setting; where that is wider than `width` characters, settings in one column."""
    paths = list(dict.fromkeys(path for _, settings in ranked for path in settings))
    heads = _heads(ranked)
    for columns in ([*paths, "date"], paths):
        rows = [
            [
                *_numbers(each, heads),
                _name(each),
                *(plain({**settings, "date": each.date}.get(key, "")) for key in columns),
            ]
            for each, settings in ranked
        ]
        align = ["right"] * len(heads)
        table = tabulate(rows, [*heads, "experiment", *columns], disable_numparse=True, colalign=align)
        if max(map(len, table.splitlines())) <= width:
            return _stripped(table)
    return _narrow(ranked, width)


def _heads(ranked: Ranked) -> list[str]:
    """Which numbers are told: the interval where one is known, balanced top-1 where one differs from top-1."""
    known = any(each.interval for each, _ in ranked)
    differs = any(
        abs(each.metrics["balanced_top1"] - each.metrics["top1"]) >= _UNEQUAL
        for each, _ in ranked
        if {"top1", "balanced_top1"} <= each.metrics.keys()
    )
    return ["top-1", *[_INTERVAL] * known, *["balanced"] * differs, "loss"]


_INTERVAL = "95 % interval"
_UNEQUAL = 0.5  # points; classes of almost equal size leave less between top-1 and balanced top-1


def _numbers(experiment: Experiment, heads: Sequence[str]) -> list[str]:
    metrics = experiment.metrics
    told = {"top-1": "top1", "balanced": "balanced_top1", "loss": "loss"}
    found = {head: f"{metrics[key]:.{3 if key == 'loss' else 2}f}" for head, key in told.items() if key in metrics}
    if experiment.interval:
        found[_INTERVAL] = "{:.2f} to {:.2f}".format(*experiment.interval)
    return [found.get(head, "-") for head in heads]


def _name(experiment: Experiment) -> str:
    return plain(experiment.name) + " (workspace)" * (experiment.is_here and experiment.name != "workspace")


_LEAST, _GAP = 9, "   "  # columns that a number takes with what is left free beside it


def _narrow(ranked: Ranked, width: int) -> str:
    """The numbers of each experiment, and beside them its name and settings, in as many lines as they take."""
    rows, heads = [], _heads(ranked)
    room = width - sum(max(_LEAST, len(head) + len(_GAP)) for head in heads)
    for each, settings in ranked:
        said = ", ".join(f"{path} {plain(value)}" for path, value in settings.items())
        text = f"{_name(each)}: {said}" if said else _name(each)
        lines = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False, subsequent_indent="  ")
        rows.append([*_numbers(each, heads), "\n".join(lines)])
    align = ["right"] * len(heads)
    return _stripped(tabulate(rows, [*heads, "experiment and its settings"], disable_numparse=True, colalign=align))


def _stripped(table: str) -> str:
    return "\n".join(line.rstrip() for line in table.splitlines())


def seeds_together(ranked: Ranked) -> list[str]:
    """A sentence for all experiments that differ in their seed alone: mean, lowest and highest top-1, best first."""
    groups: dict[tuple[tuple[str, str], ...], dict[str, tuple[str, float]]] = {}
    for each, settings in ranked:
        if "seed" in settings and "top1" in each.metrics:
            rest = tuple((path, value) for path, value in settings.items() if path != "seed")
            groups.setdefault(rest, {}).setdefault(settings["seed"], (each.name, each.metrics["top1"]))
    several = [(rest, list(found.values())) for rest, found in groups.items() if len(found) > 1]
    several.sort(key=lambda group: -mean(top1 for _, top1 in group[1]))
    return [_sentence(rest, found) for rest, found in several]


def _sentence(settings: Sequence[tuple[str, str]], found: Sequence[tuple[str, float]]) -> str:
    top1 = [value for _, value in found]
    of = "".join(f", {path} {plain(value)}" for path, value in settings)
    names = ", ".join(plain(name) for name, _ in found)
    return f"{len(top1)} seeds{of}: top-1 {mean(top1):.2f} on average, {min(top1):.2f} to {max(top1):.2f} ({names})"
