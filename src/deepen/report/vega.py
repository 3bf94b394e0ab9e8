"""Rendering of charts with Vega-Lite, in a browser and as PNG, in the colours of the page."""

import io
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from deepen.report.figures import encode_png

Spec = dict[str, Any]

_SHAPES = ("circle", "square", "diamond", "triangle-up", "cross")
_SERIES = 6
# The colours of the page and its charts, on a light and a dark background; series differ for colour-blind readers too.
COLORS = {
    "ink": ("#1b1f24", "#e3e7eb"),
    "quiet": ("#50585f", "#a9b2bb"),
    "line": ("#c9d0d7", "#3c454e"),
    "paper": ("#ffffff", "#14181d"),
    "heat": ("#5b9bd5", "#2f6cab"),
    "series0": ("#0066a6", "#5ab4ea"),
    "series1": ("#b35c00", "#f0a23c"),
    "series2": ("#00795c", "#3cc79c"),
    "series3": ("#a02c74", "#e58fc3"),
    "series4": ("#5a4fcf", "#aba0ff"),
    "series5": ("#5f666d", "#c0c6cc"),
}


def draw(spec: Spec, title: str, width: int = 560) -> bytes:
    """Render a chart as PNG, with a title, on a light background; equal charts give equal bytes."""
    import vl_convert  # takes 100 MB of memory

    fixed = spec | {"title": {"text": title, "color": color("ink")}, "background": color("paper"), "width": width}
    image = Image.open(io.BytesIO(vl_convert.vegalite_to_png(_resolve_colors(fixed), scale=1.5)))
    return encode_png(np.asarray(image.convert("RGB")))  # without alpha: a third of the size


def make_chart(rows: Sequence[Mapping[str, Any]], layers: list[Spec], height: int = 300) -> Spec:
    """Make a chart of layers over rows of data, as wide as its place on the page."""
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "config": CONFIG,
        "data": {"values": rows},
        "layer": layers,
    }


@cache
def load_javascript() -> str:
    """Return Vega, Vega-Lite and Vega-Embed, which draw the charts in a browser, as one script."""
    import vl_convert

    return str(vl_convert.javascript_bundle(None))  # type: ignore[arg-type]


def color(name: str) -> str:
    """Return the CSS variable of a colour; its value differs in dark mode."""
    return f"var(--{name})"


def _resolve_colors(part: Any) -> Any:
    """Replace the colour variables of a specification, but not its data, by the colours of a light background."""
    if isinstance(part, dict):
        return {key: each if key in ("data", "domain") else _resolve_colors(each) for key, each in part.items()}
    if isinstance(part, list):
        return [_resolve_colors(each) for each in part]
    return _LIGHT.get(part, part) if isinstance(part, str) else part


_LIGHT = {color(name): light for name, (light, _) in COLORS.items()}
CONFIG: Spec = {
    "aria": False,  # the page describes each chart in words and has its numbers as a table
    "font": "system-ui, -apple-system, Segoe UI, Roboto, Liberation Sans, Arial, sans-serif",
    "background": None,
    "view": {"stroke": None},
    "axis": {
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelColor": color("ink"),
        "titleColor": color("ink"),
        "gridColor": color("line"),
        "domainColor": color("line"),
        "tickColor": color("line"),
        "labelOverlap": True,
    },
    "legend": {
        "labelFontSize": 12,
        "labelColor": color("ink"),
        "symbolStrokeWidth": 2,
        "symbolSize": 80,
        "layout": {"bottom": {"anchor": "start", "direction": "vertical", "margin": 4}},
    },
    "text": {"color": color("ink"), "fontSize": 12},
    "rule": {"color": color("quiet")},
    "range": {"category": [color(f"series{i}") for i in range(_SERIES)], "symbol": list(_SHAPES)},
}
