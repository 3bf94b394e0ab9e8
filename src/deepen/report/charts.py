"""The charts of the report: every function returns one as a Vega-Lite specification, for the page and as PNG."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from deepen.report.confusion import Counts, class_sizes
from deepen.report.tables import Rows, unit_of
from deepen.report.vega import CONFIG, Spec, color

MOST_CLASSES = 100  # of a confusion matrix that can still be looked at
_MOST_NAMES = 40  # classes that have room for their names beside a confusion matrix
_MOST_NUMBERS = 20  # and for its numbers in it
_MOST_POINTS = 200  # of all curves together, beyond which lines have no marks
_LEGEND_ROOM = 45  # characters on the narrowest screen


def accuracy_by_compute(topk: Rows) -> Spec:
    """Test top-1 with its interval over the compute of all training so far; `topk` is tables.topk_table."""
    rows, unit = _in_unit([row for row in topk if row["k"] == 1])
    x, y = _compute(unit), _percent(rows, "accuracy", "test top-1 (percent)", "low", "high")
    mark = {"color": color("series0")}
    tooltip = [_told("model"), _told("accuracy", "top-1", ".2f"), *_INTERVAL, _told("flops", unit, ".3~g")]
    name = {"type": "text", "align": "left", "baseline": "top", "dx": 6, "dy": 6, "fontWeight": "bold", "limit": 80}
    layers = [
        {"mark": {"type": "line", **mark}, "encoding": {"x": x, "y": y}},
        _interval_rule(x, y, mark),
        {"mark": {"type": "point", "filled": True, "size": 90, **mark}, "encoding": {"x": x, "y": y}},
        {"mark": name, "encoding": {"x": x, "y": y, "text": {"field": "model"}}},
        _hover(x, y, tooltip),
    ]
    return _chart(rows, layers)


def accuracy_by_depth(topk: Rows) -> Spec:
    """Test accuracy over weight layers, a line for each k with intervals; `topk` is tables.topk_table."""
    rows = [row | {"kind": f"top-{row['k']}"} for row in topk]
    layers = sorted({row["layers"] for row in rows})
    x = {"field": "layers", **_QUANTITY, "title": "weight layers", "axis": {"values": layers, "format": "d"}}
    y = _percent(rows, "accuracy", "test accuracy (percent)", "low", "high")
    tooltip = [_told("model"), _told("kind", "accuracy"), _told("accuracy", "percent", ".2f"), *_INTERVAL]
    return _chart(rows, [*_series(x, y, "kind", rows), _interval_rule(x, y, {}, "kind"), _hover(x, y, tooltip)])


def validation_accuracy(curves: Rows) -> Spec:
    """Validation top-1 over the compute of all training so far, a line a model; `curves` is tables.curves_table."""
    rows, unit = _in_unit(curves)
    x, y = _compute(unit), _percent(rows, "val_top1", "validation top-1 (percent)")
    tooltip = [_told("model"), _told("epoch"), _told("val_top1", "top-1", ".2f"), _told("flops", unit, ".3~g")]
    return _chart(rows, [*_growth(rows, top=False), *_series(x, y, "model", rows), _hover(x, y, tooltip)])


def losses(curves: Rows) -> Spec:
    """Training and validation loss over the compute, two lines a model; `curves` is tables.curves_table."""
    rows, unit = _in_unit(curves)
    long = [
        {name: row[name] for name in ("model", "epoch", "flops")} | {"part": part, "nats": row[column]}
        for row in rows
        for part, column in (("training", "loss"), ("validation", "val_loss"))
    ]
    x, y = _compute(unit), {"field": "nats", **_QUANTITY, "title": "loss (nats)"}
    dash = {"field": "part", "type": "nominal", "sort": None, "legend": _LEGEND}
    tooltip = [_told("model"), _told("part", "loss of"), _told("epoch"), _told("nats", "nats", ".3f")]
    return _chart(
        long, [*_growth(rows, top=True), *_series(x, y, "model", long, strokeDash=dash), _hover(x, y, tooltip)]
    )


def confusion(counts: Counts, classes: Sequence[str]) -> Spec:
    """Which class is taken for which: a row an actual class, its colours in percent of it."""
    sizes = class_sizes(counts, len(classes))
    rows = [
        {"actual": classes[actual], "predicted": classes[predicted], "images": n, "percent": 100 * n / sizes[actual]}
        for actual, predicted, n in counts
    ]
    axis = {"labels": len(classes) <= _MOST_NAMES, "ticks": False, "labelLimit": 110, "grid": False}
    x, y = (
        {"field": field, "type": "nominal", "title": title, "scale": {"domain": list(classes)}, "axis": axis | more}
        for field, title, more in (("predicted", "taken for", {"labelAngle": -45}), ("actual", "actual class", {}))
    )
    about = (("actual", "actual class", None), ("predicted", "taken for", None), ("images", None, None))
    tooltip = [*(_told(*each) for each in about), _told("percent", "% of the class", ".1f")]
    shade = {
        "field": "percent",
        "type": "quantitative",
        "scale": {"domain": [0, 100], "range": [0.06, 1]},
        "legend": None,
    }
    rect = {"type": "rect", "color": color("heat")}
    layers: list[Spec] = [{"mark": rect, "encoding": {"x": x, "y": y, "opacity": shade, "tooltip": tooltip}}]
    if len(classes) <= _MOST_NUMBERS:
        layers.append({"mark": "text", "encoding": {"x": x, "y": y, "text": {"field": "images"}, "tooltip": tooltip}})
    spec = _chart(rows, layers, height=300 + min(400, 12 * len(classes)))
    return spec | {"view": {"stroke": color("line")}}


_QUANTITY: Spec = {"type": "quantitative", "scale": {"zero": False, "nice": True, "padding": 12}}
_LEGEND: Spec = {"title": None, "orient": "bottom", "direction": "horizontal", "symbolOpacity": 1}


def _told(field: str, title: str | None = None, form: str | None = None) -> Spec:
    """A line of what is told of the mark that is pointed at."""
    return {"field": field, "title": title or field} | ({"format": form, "type": "quantitative"} if form else {})


_INTERVAL = [_told("low", "at least", ".2f"), _told("high", "at most", ".2f")]


def _chart(rows: Rows, layers: list[Spec], height: int = 300) -> Spec:
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "config": CONFIG,
        "data": {"values": rows},
        "layer": layers,
    }


def _in_unit(rows: Rows) -> tuple[Rows, str]:
    """Rows with their `flops` in the largest unit of which there is at least one, and that unit."""
    size, unit = unit_of(max(row["flops"] for row in rows))
    return [row | {"flops": row["flops"] / size} for row in rows], unit


def _percent(rows: Rows, field: str, title: str, low: str | None = None, high: str | None = None) -> Spec:
    """An axis of percent that has room around what it shows, and none beyond 0 and 100."""
    least, most = min(row[low or field] for row in rows), max(row[high or field] for row in rows)
    room = max(1.0, 0.06 * (most - least))
    domain = [max(0.0, least - room), min(100.0, most + room)]
    return {"field": field, "type": "quantitative", "title": title, "scale": {"domain": domain, "nice": False}}


def _compute(unit: str) -> Spec:
    title = f"compute of all training so far ({unit})"
    return {"field": "flops", "type": "quantitative", "title": title, "scale": {"zero": True}}


def _series(x: Spec, y: Spec, field: str, rows: Rows, **more: Spec) -> list[Spec]:
    """A line for each value of `field`, with marks of its own; the legend chooses which are shown."""
    longest = max(len(str(row[field])) for row in rows)
    legend = _LEGEND | {"columns": max(1, min(5, _LEGEND_ROOM // (longest + 4)))}
    by = {"field": field, "type": "nominal", "sort": None, "legend": legend}
    chosen = {"name": "chosen", "select": {"type": "point", "fields": [field], "toggle": "true"}, "bind": "legend"}
    encoding: Spec = {"x": x, "y": y, "opacity": _shown(1)}
    line: Spec = {"mark": "line", "encoding": encoding | {"stroke": by} | more}
    if len(rows) > _MOST_POINTS:
        return [line | {"params": [chosen]}]
    line["encoding"]["stroke"] = by | {"legend": None}  # a colour of points alone has one legend with their shapes
    point = {"type": "point", "filled": True, "size": 45}
    return [line, {"mark": point, "params": [chosen], "encoding": encoding | {"color": by, "shape": by}}]


def _shown(opacity: float) -> Spec:
    """All but faint where the legend has chosen others."""
    return {"condition": {"param": "chosen", "value": opacity}, "value": 0.05}


def _interval_rule(x: Spec, y: Spec, mark: Mapping[str, str], field: str | None = None) -> Spec:
    encoding: Spec = {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}}
    if field:
        encoding["stroke"] = {"field": field, "type": "nominal", "sort": None, "legend": None}
        encoding["opacity"] = _shown(0.6)
    return {"mark": {"type": "rule", "strokeWidth": 1.5, **mark}, "encoding": encoding}


def _hover(x: Spec, y: Spec, tooltip: list[Spec]) -> Spec:
    """What is pointed at need not be met exactly: invisible marks larger than those that are seen."""
    mark = {"type": "point", "filled": True, "size": 300, "opacity": 0, "color": color("ink")}
    return {"mark": mark, "encoding": {"x": x, "y": y, "tooltip": tooltip}}


def _growth(rows: Rows, *, top: bool) -> list[Spec]:
    """A line where each model but the first begins, with its name at its top or at its bottom."""
    ends = list({row["model"]: row["flops"] for row in rows}.items())
    moments = [{"flops": end, "words": f"{model} begins"} for (_, end), (model, _) in pairwise(ends)]
    if not moments:
        return []
    x, data = {"field": "flops", "type": "quantitative"}, {"data": {"values": moments}}
    place: Spec = {"align": "right", "y": 0, "dx": -2} if top else {"align": "left", "y": {"expr": "height"}, "dx": 4}
    words = {"type": "text", "baseline": "top", "angle": 270, "dy": 4, "fontSize": 11, "color": color("quiet"), **place}
    return [
        data | {"mark": {"type": "rule", "strokeDash": [2, 3]}, "encoding": {"x": x}},
        data | {"mark": words, "encoding": {"x": x, "text": {"field": "words"}}},
    ]
