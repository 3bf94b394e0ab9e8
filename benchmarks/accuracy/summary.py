"""Tables of a comparison: means with 95 % intervals, differences paired by seed, compute to equal another arm."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.ticker as ticker
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from deepen.evaluation.seed_statistics import compute_mean_interval

SCORES = {"single": "one view", "averaged": "averaged views"}


def tabulate_arms(runs: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each budget and arm: mean top-1 with half its interval, and time relative to the first arm."""
    rows, first = [], runs["arm"].iloc[0]
    for budget, at_budget in runs.groupby("budget", sort=True):
        times = at_budget.groupby("arm", sort=False)["seconds"].median()
        for name, group in at_budget.groupby("arm", sort=False):
            row: dict[str, Any] = {"budget": budget, "arm": name, "seeds": len(group)}
            for score, title in SCORES.items():
                mean, half = compute_mean_interval(group[score].to_numpy())
                row |= {title: mean, f"+- {title}": half}
            row |= {"PFLOP": group["flops"].mean() / 1e15, f"time, {first} = 1": times[name] / times.get(first, np.nan)}
            rows.append(row)
    return pd.DataFrame(rows)


def tabulate_differences(runs: pd.DataFrame, against: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Return a row for each budget and pair of arms: the mean difference of top-1, paired by seed.

    `FLOPs to equal it` is the fraction of the other's FLOPs at which the arm reaches the other's averaged top-1, read
    off its own means, with straight lines between budgets over the logarithm of the FLOPs; NaN if outside of them.
    """
    rows = []
    pairs = [(name, other) for name, others in against.items() for other in others]
    for budget, at_budget in runs.groupby("budget", sort=True):
        for name, other in pairs:
            row: dict[str, Any] = {"budget": budget, "arm": name, "less": other}
            for score, title in SCORES.items():
                top1 = at_budget.pivot(index="seed", columns="arm", values=score)
                if not {name, other} <= set(top1):
                    break
                difference = (top1[name] - top1[other]).dropna().to_numpy()
                mean, half = compute_mean_interval(difference)
                row |= {"seeds": len(difference), title: mean, f"+- {title}": half}
            else:
                rows.append(row | {"FLOPs to equal it": estimate_equal_flops(runs, name, other, float(str(budget)))})
    return pd.DataFrame(rows)


def estimate_equal_flops(runs: pd.DataFrame, name: str, other: str, budget: float) -> float:
    """Return the fraction of another arm's FLOPs at a budget with which an arm reaches the same averaged top-1."""
    means = runs.groupby(["arm", "budget"])[["averaged", "flops"]].mean().sort_index()
    own, goal = means.loc[name], means.loc[other].loc[budget]
    top1, flops = own["averaged"].to_numpy(), np.log(own["flops"].to_numpy())
    if len(top1) < 2 or (np.diff(top1) <= 0).any():
        return np.nan
    return float(np.exp(np.interp(goal["averaged"], top1, flops, np.nan, np.nan)) / goal["flops"])


def draw(runs: pd.DataFrame) -> Figure:
    """Plot averaged top-1 over FLOPs: a line for each arm through its means, with 95 % intervals."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for name, group in runs.groupby("arm", sort=False):
        points = group.groupby("budget").agg(flops=("flops", "mean"))
        found = [compute_mean_interval(each.to_numpy()) for _, each in group.groupby("budget")["averaged"]]
        means, halves = zip(*found, strict=True)
        axes.errorbar(points["flops"] / 1e15, means, np.nan_to_num(halves), marker="o", capsize=3, label=str(name))
    axes.set(xscale="log", xlabel="training compute, all rungs and statistics included (PFLOP)")
    axes.set(ylabel="top-1 (percent), averaged views")
    axes.set_xticks(sorted(runs["budget"].unique()))
    axes.xaxis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    axes.spines[["right", "top"]].set_visible(False)
    return figure
