"""How charts look, and what draws them: Vega-Lite, in a browser and as PNG, in the colours of the page."""

import io
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from deepen.report.figures import as_png

Spec = dict[str, Any]

_SHAPES = ("circle", "square", "diamond", "triangle-up", "cross")
_SERIES = 6
# Of the page, its charts and pictures: on a light and on a dark ground. Series stay apart for the colour-blind.
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
    """A chart as a PNG picture on a light ground, with its title; equal charts give equal bytes."""
    import vl_convert  # which takes 100 MB of memory

    fixed = spec | {"title": {"text": title, "color": color("ink")}, "background": color("paper"), "width": width}
    drawn = Image.open(io.BytesIO(vl_convert.vegalite_to_png(_with_colors(fixed), scale=1.5)))
    return as_png(np.asarray(drawn.convert("RGB")))  # a third of the size


@cache
def javascript() -> str:
    """Vega, Vega-Lite and Vega-Embed, which draw the charts in a browser, as one script."""
    import vl_convert

    return str(vl_convert.javascript_bundle(None))  # type: ignore[arg-type]


def color(name: str) -> str:
    """A colour by its name, which the style of the page knows: other ones in dark mode."""
    return f"var(--{name})"


def _with_colors(part: Any) -> Any:
    """A specification with the colours of a light ground in place of their names, and its data as they are."""
    if isinstance(part, dict):
        return {key: each if key in ("data", "domain") else _with_colors(each) for key, each in part.items()}
    if isinstance(part, list):
        return [_with_colors(each) for each in part]
    return _LIGHT.get(part, part) if isinstance(part, str) else part


_LIGHT = {color(name): light for name, (light, _) in COLORS.items()}
CONFIG: Spec = {
    "aria": False,  # the page says in words what a chart shows, and has its numbers as a table
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
