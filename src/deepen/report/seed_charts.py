"""Charts of several seeds: a dot for each seed, its mean, and the 95 % interval over seeds."""

from collections.abc import Mapping, Sequence

from deepen.evaluation.seed_statistics import MOST, Sample
from deepen.report.tables import Rows
from deepen.report.vega import Spec, color, make_chart
from deepen.seeds.table import SeedTable


def plot_accuracies(table: SeedTable) -> Spec:
    """Plot top-1 of each model; a line joins the dots of a seed, without those of baselines."""
    samples = {each.model: each.top1 for each in table.models}
    rows = [row | {"in ladder": row["name"] not in table.baselines} for row in _list_points(samples)]
    return _plot(rows, "top-1 (percent)", [_plot_lines()], _choose_domain(list(samples.values())))


def plot_differences(table: SeedTable) -> Spec:
    """Plot the difference of each pair of models, with a line at zero."""
    samples = {f"{one} - {other}": sample for one, other, sample in table.differences()}
    domain = _choose_domain(list(samples.values()), also=(0.0,))
    return _plot(_list_points(samples), "difference in top-1 (points)", [_plot_zero()], domain)


def _list_points(samples: Mapping[str, Sample]) -> Rows:
    rows = []
    for name, sample in samples.items():
        low, high = sample.shown_interval or (None, None)
        shared = {"name": name, "mean": sample.mean, "low": low, "high": high}
        rows += [shared | {"seed": str(seed), "value": value} for seed, value in sample.values.items()]
    return rows


def _choose_domain(samples: Sequence[Sample], also: Sequence[float] = ()) -> tuple[float, float]:
    """Return the ends of an axis that has all dots and intervals, but where the dots take a third of it at least."""
    dots = [*also, *(value for each in samples for value in each.values.values())]
    ends = [end for each in samples for end in each.shown_interval or ()] + dots
    spread = max(max(dots) - min(dots), 1.0)
    margin = 0.1 * spread
    least, most = max(min(ends) - margin, min(dots) - spread), min(max(ends) + margin, max(dots) + spread)
    return max(least, samples[0].least), min(most, MOST)


_X: Spec = {"field": "name", "type": "nominal", "sort": None, "title": None, "axis": {"labelAngle": 0}}


def _plot(rows: Rows, title: str, below: list[Spec], domain: tuple[float, float]) -> Spec:
    scale = {"domain": list(domain), "nice": False}
    y: Spec = {"field": "value", "type": "quantitative", "title": title, "scale": scale}
    tooltip = [{"field": field, "title": field} for field in ("name", "seed")]
    tooltip.append({"field": "value", "title": title, "format": ".2f"})
    dots: Spec = {"type": "point", "filled": True, "size": 60, "opacity": 0.8, "color": color("series0")}
    layers = [
        *(each | {"encoding": {"x": _X, "y": y} | each["encoding"]} for each in below),
        *_plot_interval(y, any(row["low"] is not None for row in rows)),
        *_plot_cuts(rows, y, domain),
        {"mark": dots, "encoding": {"x": _X, "y": y, "tooltip": tooltip}},
    ]
    return make_chart(rows, layers)


def _plot_interval(y: Spec, known: bool) -> list[Spec]:
    """Plot the mean as a tick and, where there are several seeds, its interval as a line, beside the dots."""
    tick: Spec = {"type": "tick", "thickness": 3, "size": 22, "color": color("series1"), **_BESIDE}
    mean = {"mark": tick, "encoding": {"x": _X, "y": y | {"field": "mean"}}}
    if not known:
        return [mean]
    rule: Spec = {"type": "rule", "strokeWidth": 2, "color": color("series1"), "clip": True, **_BESIDE}
    ends = {"x": _X, "y": y | {"field": "low"}, "y2": {"field": "high"}}
    return [{"mark": rule, "encoding": ends}, mean]


def _plot_cuts(rows: Rows, y: Spec, domain: tuple[float, float]) -> list[Spec]:
    """Plot an arrow at the edge of the chart where an interval goes beyond it."""
    low, high = domain
    cuts = [{"name": row["name"], "value": low} for row in rows if row["low"] is not None and row["low"] < low]
    cuts += [{"name": row["name"], "value": high} for row in rows if row["high"] is not None and row["high"] > high]
    return [
        {
            "data": {"values": [cut for cut in cuts if cut["value"] == end]},
            "mark": {"type": "point", "shape": shape, "filled": True, "size": 80, "color": color("series1"), **_BESIDE},
            "encoding": {"x": _X, "y": y},
        }
        for end, shape in ((low, "triangle-down"), (high, "triangle-up"))
        if any(cut["value"] == end for cut in cuts)
    ]


_BESIDE: Spec = {"xOffset": 18}  # the dots


def _plot_lines() -> Spec:
    return {
        "transform": [{"filter": "datum['in ladder']"}],
        "mark": {"type": "line", "strokeWidth": 1, "color": color("line")},
        "encoding": {"detail": {"field": "seed", "type": "nominal"}},
    }


def _plot_zero() -> Spec:
    return {"mark": {"type": "rule", "strokeDash": [4, 3]}, "encoding": {"y": {"datum": 0}, "x": {}}}
