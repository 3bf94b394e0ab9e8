"""The charts of the report as Vega-Lite specifications, for the page and for PNG files."""

from collections.abc import Mapping, Sequence

from deepen.core.tree import is_chain
from deepen.report.branches import After, connect_models, draw_lines, plot_starts
from deepen.report.confusion import Counts, count_class_images
from deepen.report.tables import Rows, choose_unit
from deepen.report.vega import Spec, color
from deepen.report.vega import make_chart as _make_chart

MOST_CLASSES = 100  # of a readable confusion matrix
_MOST_NAMES = 40  # classes of a confusion matrix with class names
_MOST_NUMBERS = 20  # classes of a confusion matrix with numbers
_MOST_POINTS = 200  # of all curves together; with more, lines have no marks
_LEGEND_WIDTH = 45  # characters on the narrowest screen


def plot_accuracy_by_compute(topk: Rows, after: After) -> Spec:
    """Plot test top-1 with its interval over cumulative training compute; `topk` is that of make_topk_table."""
    rows, unit = _convert_unit([row for row in topk if row["k"] == 1])
    x, y = _make_compute_axis(unit), _make_percent_axis(rows, "accuracy", "test top-1 (percent)", "low", "high")
    mark = {"color": color("series0")}
    tooltip = [_describe("model"), _describe("accuracy", "top-1", ".2f"), *_INTERVAL, _describe("flops", unit, ".3~g")]
    line = {"mark": {"type": "line", **mark}, "encoding": {"x": x, "y": y}}
    layers = [
        *draw_lines(line, connect_models(rows, after)),
        _plot_intervals(x, y, mark),
        {"mark": {"type": "point", "filled": True, "size": 90, **mark}, "encoding": {"x": x, "y": y}},
        _plot_names(x, y),
        _add_tooltip(x, y, tooltip),
    ]
    return _make_chart(rows, layers)


def plot_accuracy_by_depth(topk: Rows, after: After) -> Spec:
    """Plot test accuracy with intervals over weight layers, a line per k; `topk` is that of make_topk_table."""
    rows = [row | {"kind": f"top-{row['k']}"} for row in topk]
    layers = sorted({row["layers"] for row in rows})
    x = {"field": "layers", **_QUANTITY, "title": "weight layers", "axis": {"values": layers, "format": "d"}}
    y = _make_percent_axis(rows, "accuracy", "test accuracy (percent)", "low", "high")
    tooltip = [_describe("model"), _describe("kind", "accuracy"), _describe("accuracy", "percent", ".2f"), *_INTERVAL]
    series = _plot_series(x, y, "kind", rows, ends=connect_models(rows, after))
    names = [] if is_chain(after) else [_plot_names(x, y)]
    return _make_chart(rows, [*series, _plot_intervals(x, y, {}, "kind"), *names, _add_tooltip(x, y, tooltip)])


def plot_validation_accuracy(curves: Rows, after: After) -> Spec:
    """Plot validation top-1 over cumulative training compute, a line per model; `curves`: see make_curves_table."""
    rows, unit = _convert_unit(curves)
    x, y = _make_compute_axis(unit), _make_percent_axis(rows, "val_top1", "validation top-1 (percent)")
    tooltip = [
        _describe("model"),
        _describe("epoch"),
        _describe("val_top1", "top-1", ".2f"),
        _describe("flops", unit, ".3~g"),
    ]
    return _make_chart(
        rows, [*plot_starts(rows, after, top=False), *_plot_series(x, y, "model", rows), _add_tooltip(x, y, tooltip)]
    )


def plot_losses(curves: Rows, after: After) -> Spec:
    """Plot training and validation loss over compute, two lines per model; `curves`: see make_curves_table."""
    rows, unit = _convert_unit(curves)
    long = [
        {name: row[name] for name in ("model", "epoch", "flops")} | {"part": part, "nats": row[column]}
        for row in rows
        for part, column in (("training", "loss"), ("validation", "val_loss"))
    ]
    x, y = _make_compute_axis(unit), {"field": "nats", **_QUANTITY, "title": "loss (nats)"}
    dash = {"field": "part", "type": "nominal", "sort": None, "legend": _LEGEND}
    tooltip = [_describe("model"), _describe("part", "loss of"), _describe("epoch"), _describe("nats", "nats", ".3f")]
    return _make_chart(
        long,
        [
            *plot_starts(rows, after, top=True),
            *_plot_series(x, y, "model", long, strokeDash=dash),
            _add_tooltip(x, y, tooltip),
        ],
    )


def plot_confusion(counts: Counts, classes: Sequence[str]) -> Spec:
    """Plot a confusion matrix: a row per actual class, coloured by percent of the class."""
    sizes = count_class_images(counts, len(classes))
    rows = [
        {"actual": classes[actual], "predicted": classes[predicted], "images": n, "percent": 100 * n / sizes[actual]}
        for actual, predicted, n in counts
    ]
    axis = {"labels": len(classes) <= _MOST_NAMES, "ticks": False, "labelLimit": 110, "grid": False}
    x, y = (
        {"field": field, "type": "nominal", "title": title, "scale": {"domain": list(classes)}, "axis": axis | more}
        for field, title, more in (("predicted", "predicted as", {"labelAngle": -45}), ("actual", "actual class", {}))
    )
    about = (("actual", "actual class", None), ("predicted", "predicted as", None), ("images", None, None))
    tooltip = [*(_describe(*each) for each in about), _describe("percent", "% of the class", ".1f")]
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
    spec = _make_chart(rows, layers, height=300 + min(400, 12 * len(classes)))
    return spec | {"view": {"stroke": color("line")}}


_QUANTITY: Spec = {"type": "quantitative", "scale": {"zero": False, "nice": True, "padding": 12}}
_LEGEND: Spec = {"title": None, "orient": "bottom", "direction": "horizontal", "symbolOpacity": 1}


def _describe(field: str, title: str | None = None, form: str | None = None) -> Spec:
    """Return a line of a tooltip."""
    return {"field": field, "title": title or field} | ({"format": form, "type": "quantitative"} if form else {})


_INTERVAL = [_describe("low", "at least", ".2f"), _describe("high", "at most", ".2f")]


def _convert_unit(rows: Rows) -> tuple[Rows, str]:
    """Return the rows with `flops` converted to a unit suitable for the largest value, and the unit."""
    size, unit = choose_unit(max(row["flops"] for row in rows))
    return [row | {"flops": row["flops"] / size} for row in rows], unit


def _make_percent_axis(rows: Rows, field: str, title: str, low: str | None = None, high: str | None = None) -> Spec:
    """Return an axis in percent with a margin around the values, clipped to 0 and 100."""
    least, most = min(row[low or field] for row in rows), max(row[high or field] for row in rows)
    margin = max(1.0, 0.06 * (most - least))
    domain = [max(0.0, least - margin), min(100.0, most + margin)]
    return {"field": field, "type": "quantitative", "title": title, "scale": {"domain": domain, "nice": False}}


def _make_compute_axis(unit: str) -> Spec:
    title = f"compute of all training so far ({unit})"
    return {"field": "flops", "type": "quantitative", "title": title, "scale": {"zero": True}}


def _plot_series(x: Spec, y: Spec, field: str, rows: Rows, ends: Rows | None = None, **more: Spec) -> list[Spec]:
    """Plot a line with its own marks per value of `field`; the legend selects which are shown.

    With `ends`, of connect_models, the lines lead from model to model.
    """
    longest = max(len(str(row[field])) for row in rows)
    legend = _LEGEND | {"columns": max(1, min(5, _LEGEND_WIDTH // (longest + 4)))}
    by = {"field": field, "type": "nominal", "sort": None, "legend": legend}
    chosen = {"name": "chosen", "select": {"type": "point", "fields": [field], "toggle": "true"}, "bind": "legend"}
    encoding: Spec = {"x": x, "y": y, "opacity": _fade(1)}
    line: Spec = {"mark": "line", "encoding": encoding | {"stroke": by} | more}
    if len(rows) > _MOST_POINTS and ends != []:
        return [each | {"params": [chosen]} for each in draw_lines(line, ends)]
    line["encoding"]["stroke"] = by | {"legend": None}  # the legend of the points shows colour and shape together
    point = {"type": "point", "filled": True, "size": 45}
    return [
        *draw_lines(line, ends),
        {"mark": point, "params": [chosen], "encoding": encoding | {"color": by, "shape": by}},
    ]


def _plot_names(x: Spec, y: Spec) -> Spec:
    """Plot the name of each model beside its top-1."""
    name = {"type": "text", "align": "left", "baseline": "top", "dx": 6, "dy": 6, "fontWeight": "bold", "limit": 80}
    encoding = {"x": x, "y": y, "text": {"field": "model"}}
    return {"transform": [{"filter": "datum.k == 1"}], "mark": name, "encoding": encoding}


def _fade(opacity: float) -> Spec:
    """Return an opacity that fades what is not selected in the legend."""
    return {"condition": {"param": "chosen", "value": opacity}, "value": 0.05}


def _plot_intervals(x: Spec, y: Spec, mark: Mapping[str, str], field: str | None = None) -> Spec:
    encoding: Spec = {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}}
    if field:
        encoding["stroke"] = {"field": field, "type": "nominal", "sort": None, "legend": None}
        encoding["opacity"] = _fade(0.6)
    return {"mark": {"type": "rule", "strokeWidth": 1.5, **mark}, "encoding": encoding}


def _add_tooltip(x: Spec, y: Spec, tooltip: list[Spec]) -> Spec:
    """Return large invisible marks, so that the pointer need not hit a mark exactly."""
    mark = {"type": "point", "filled": True, "size": 300, "opacity": 0, "color": color("ink")}
    return {"mark": mark, "encoding": {"x": x, "y": y, "tooltip": tooltip}}
