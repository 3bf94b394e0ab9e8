"""Charts of several seeds: a dot for each seed, its mean, and the 95 % interval over seeds."""

from deepen.evaluation.seed_statistics import Sample
from deepen.report.tables import Rows
from deepen.report.vega import Spec, color, make_chart
from deepen.seeds.table import SeedTable


def plot_accuracies(table: SeedTable) -> Spec:
    """Plot top-1 of each model; a line joins the dots of a seed, without those of baselines."""
    rows = [
        row | {"in ladder": each.model not in table.baselines}
        for each in table.models
        for row in _list_points(each.model, each.top1)
    ]
    return _plot(rows, "top-1 (percent)", [_plot_lines()])


def plot_differences(table: SeedTable) -> Spec:
    """Plot the difference of each pair of models, with a line at zero."""
    rows = [row for one, other, sample in table.differences() for row in _list_points(f"{one} - {other}", sample)]
    return _plot(rows, "difference in top-1 (points)", [_plot_zero()])


def _list_points(name: str, sample: Sample) -> Rows:
    low, high = sample.interval or (None, None)
    shared = {"name": name, "mean": sample.mean, "low": low, "high": high}
    return [shared | {"seed": str(seed), "value": value} for seed, value in sample.values.items()]


_X: Spec = {"field": "name", "type": "nominal", "sort": None, "title": None, "axis": {"labelAngle": 0}}


def _plot(rows: Rows, title: str, below: list[Spec]) -> Spec:
    y: Spec = {"field": "value", "type": "quantitative", "title": title, "scale": {"zero": False}}
    tooltip = [{"field": field, "title": field} for field in ("name", "seed")]
    tooltip.append({"field": "value", "title": title, "format": ".2f"})
    dots: Spec = {"type": "point", "filled": True, "size": 60, "opacity": 0.8, "color": color("series0")}
    layers = [
        *(each | {"encoding": {"x": _X, "y": y} | each["encoding"]} for each in below),
        *_plot_interval(y, any(row["low"] is not None for row in rows)),
        {"mark": dots, "encoding": {"x": _X, "y": y, "tooltip": tooltip}},
    ]
    return make_chart(rows, layers)


def _plot_interval(y: Spec, known: bool) -> list[Spec]:
    """Plot the mean as a tick and, where there are several seeds, its interval as a line, beside the dots."""
    beside = {"xOffset": 18}
    tick: Spec = {"type": "tick", "thickness": 3, "size": 22, "color": color("series1"), **beside}
    mean = {"mark": tick, "encoding": {"x": _X, "y": y | {"field": "mean"}}}
    if not known:
        return [mean]
    rule: Spec = {"type": "rule", "strokeWidth": 2, "color": color("series1"), **beside}
    ends = {"x": _X, "y": y | {"field": "low"}, "y2": {"field": "high"}}
    return [{"mark": rule, "encoding": ends}, mean]


def _plot_lines() -> Spec:
    return {
        "transform": [{"filter": "datum['in ladder']"}],
        "mark": {"type": "line", "strokeWidth": 1, "color": color("line")},
        "encoding": {"detail": {"field": "seed", "type": "nominal"}},
    }


def _plot_zero() -> Spec:
    return {"mark": {"type": "rule", "strokeDash": [4, 3]}, "encoding": {"y": {"datum": 0}, "x": {}}}
