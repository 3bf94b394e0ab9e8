"""Experiments in a table for a terminal: best first, with the settings in which they differ, and seeds together."""

import textwrap
from collections.abc import Mapping, Sequence
from statistics import mean

from tabulate import tabulate

from deepen.differences import differences
from deepen.errors import plain
from deepen.experiments import Experiment

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
    for columns in ([*paths, "date"], paths):
        rows = [
            [
                *_numbers(each),
                plain(each.name),
                *(plain({**settings, "date": each.date}.get(key, "")) for key in columns),
            ]
            for each, settings in ranked
        ]
        table = tabulate(rows, ["top-1", "loss", "experiment", *columns], disable_numparse=True, colalign=_ALIGNED)
        if max(map(len, table.splitlines())) <= width:
            return _stripped(table)
    return _narrow(ranked, width)


_ALIGNED = ("right", "right")


def _numbers(experiment: Experiment) -> list[str]:
    metrics = experiment.metrics
    return [f"{metrics['top1']:.2f}", f"{metrics['loss']:.3f}"] if {"top1", "loss"} <= metrics.keys() else ["-", "-"]


def _narrow(ranked: Ranked, width: int) -> str:
    """The numbers of each experiment, and beside them its name and settings, in as many lines as they take."""
    rows = []
    for each, settings in ranked:
        said = ", ".join(f"{path} {plain(value)}" for path, value in settings.items())
        text = f"{plain(each.name)}: {said}" if said else plain(each.name)
        lines = textwrap.wrap(text, width - 16, break_long_words=False, break_on_hyphens=False, subsequent_indent="  ")
        rows.append([*_numbers(each), "\n".join(lines)])
    heads = ["top-1", "loss", "experiment and its settings"]
    return _stripped(tabulate(rows, heads, disable_numparse=True, colalign=_ALIGNED))


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
