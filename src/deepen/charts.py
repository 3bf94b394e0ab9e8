"""What people explore: every function makes one interactive chart of a table and returns it."""

import html
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from typing import Any

import pandas as pd
import plotly.colors
import plotly.graph_objects as go
from numpy.typing import NDArray

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
MOST_CLASSES = 100  # of a confusion matrix that can still be looked at
_MOST_NAMES = 40  # classes that have room for their names beside a confusion matrix
_MOST_NUMBERS = 20  # and for its numbers in it
_MOST_TICKS = 12  # epochs that can each have a number
_MARKERS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")
_INK, _LINES = "#1b1f24", "#d5dae0"


def validation_accuracy(curves: pd.DataFrame) -> go.Figure:
    """Validation top-1 over the epochs, a line a model; `curves` is tables.curves_table."""
    figure = go.Figure()
    for model, rows, style in _models(curves):
        figure.add_scatter(x=rows["epoch"], y=rows["val_top1"], name=model, hovertemplate="%{y:.2f} %", **style)
    return _over_epochs(figure, curves, "validation top-1 (percent)")


def losses(curves: pd.DataFrame) -> go.Figure:
    """Training and validation loss over the epochs, two lines a model; `curves` is tables.curves_table."""
    figure = go.Figure()
    for model, rows, style in _models(curves):
        for column, part, dash in (("loss", "training", "solid"), ("val_loss", "validation", "dash")):
            style["line"] = {**style["line"], "dash": dash}
            name = f"{model}, {part}"
            figure.add_scatter(x=rows["epoch"], y=rows[column], name=name, hovertemplate="%{y:.3f}", **style)
    return _over_epochs(figure, curves, "loss (nats)")


def accuracy_by_depth(topk: pd.DataFrame) -> go.Figure:
    """Test accuracy over weight layers, a line for each k with intervals; `topk` is tables.topk_table with `layers`."""
    figure = go.Figure()
    for (k, rows), style in zip(topk.groupby("k"), _styles(topk["k"].nunique()), strict=True):
        figure.add_scatter(
            x=rows["layers"],
            y=rows["accuracy"],
            name=f"top-{k}",
            error_y=_intervals(rows),
            customdata=rows[["model", "low", "high"]],
            hovertemplate="%{customdata[0]}: %{y:.2f} % (%{customdata[1]:.2f} to %{customdata[2]:.2f})",
            **style,
        )
    _laid_out(figure, "weight layers", "test accuracy (percent)")
    models = topk.drop_duplicates("model")
    labels = [f"{layers}<br>{model}" for layers, model in zip(models["layers"], models["model"], strict=True)]
    return figure.update_xaxes(tickvals=models["layers"], ticktext=labels)


def accuracy_by_compute(topk: pd.DataFrame) -> go.Figure:
    """Test top-1 over the operations that a model and all it grew from took; `topk` has `flops`, cumulated, besides."""
    rows = topk[topk["k"] == 1]
    (style,) = _styles(1)
    figure = go.Figure()
    figure.add_scatter(
        x=rows["flops"],
        y=rows["accuracy"],
        text=rows["model"],
        textposition="bottom right",
        error_y=_intervals(rows),
        customdata=rows[["low", "high"]],
        hovertemplate="%{text}: %{y:.2f} % (%{customdata[0]:.2f} to %{customdata[1]:.2f}) after %{x:.3g} operations",
        name="",
        **{**style, "mode": "lines+markers+text"},
    )
    _laid_out(figure, "operations of all training so far (FLOPs)", "test top-1 (percent)", showlegend=False)
    return figure.update_xaxes(rangemode="tozero", exponentformat="power")


def confusion(counts: NDArray[Any], classes: Sequence[str]) -> go.Figure:
    """Which class is taken for which: a row an actual class, colours in percent of it; `counts` (classes, classes)."""
    names = [as_plain_text(name) for name in classes]
    percent = 100 * counts / counts.sum(1, keepdims=True).clip(min=1)
    figure = go.Figure()
    figure.add_heatmap(
        z=percent.round(2),
        x=names,
        y=names,
        customdata=counts,
        zmin=0,
        zmax=100,
        colorscale=[[0, "#ffffff"], [1, "#5b9bd5"]],
        xgap=1,
        ygap=1,
        colorbar={"ticksuffix": " %", "thickness": 12},
        hovertemplate="%{y} taken for %{x}: %{customdata} images, %{z:.1f} %<extra></extra>",
    )
    if len(classes) <= _MOST_NUMBERS:
        figure.update_traces(
            text=[[n or "" for n in row] for row in counts.tolist()], texttemplate="%{text}", textfont={"color": _INK}
        )
    height = 380 + min(300, 10 * len(classes))
    _laid_out(figure, "taken for", "actual class", height=height, margin={"l": 10, "r": 0, "t": 10, "b": 10})
    ticks = {"tickvals": names, "ticktext": [as_plain_text(_short(name)) for name in classes]}
    for axis in (figure.layout.xaxis, figure.layout.yaxis):
        axis.update(type="category", showgrid=False, showticklabels=len(classes) <= _MOST_NAMES, **ticks)
    return figure.update_yaxes(autorange="reversed").update_xaxes(tickangle=-45)


def as_plain_text(text: str) -> str:
    """Text that comes from outside, for Plotly, which takes some HTML for markup wherever it shows text."""
    return html.escape(text, quote=False)


def _short(text: str, most: int = 16) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}\u2026"


def _models(curves: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame, dict[str, Any]]]:
    groups = curves.groupby("model", sort=False)
    for (model, rows), style in zip(groups, _styles(len(groups)), strict=True):
        yield str(model), rows, style


def _styles(count: int) -> list[dict[str, Any]]:
    """Colours and marks that stay apart for the colour-blind and in print, all dark enough to be seen on white."""
    places = [0.6 * i / max(count - 1, 1) for i in range(count)]
    colors = plotly.colors.sample_colorscale("Plasma", places)
    markers = [{"symbol": symbol, "size": 8} for symbol in islice(cycle(_MARKERS), count)]
    return [
        {"mode": "lines+markers", "line": {"color": color}, "marker": marker}
        for color, marker in zip(colors, markers, strict=True)
    ]


def _over_epochs(figure: go.Figure, curves: pd.DataFrame, y: str) -> go.Figure:
    _laid_out(figure, "epoch of the model", y, hovermode="x unified", hoverdistance=-1)
    return figure.update_xaxes(dtick=1 if curves["epoch"].max() <= _MOST_TICKS else None)


def _intervals(rows: pd.DataFrame) -> dict[str, Any]:
    above, below = rows["high"] - rows["accuracy"], rows["accuracy"] - rows["low"]
    return {"type": "data", "array": above.clip(lower=0), "arrayminus": below.clip(lower=0), "thickness": 1}


def _laid_out(figure: go.Figure, x: str, y: str, **layout: Any) -> go.Figure:
    figure.update_layout(
        {
            "template": "none",
            "font": {"family": FONT, "size": 13, "color": _INK},
            "margin": {"l": 10, "r": 16, "t": 10, "b": 10},
            "legend": {"orientation": "h", "y": -0.2, "yanchor": "top"},
            "height": 420,
            "dragmode": False,
            **layout,
        }
    )
    axes = {"gridcolor": _LINES, "linecolor": _LINES, "zeroline": False, "automargin": True}
    figure.update_xaxes(title={"text": x, "standoff": 10}, **axes)
    return figure.update_yaxes(title={"text": y, "standoff": 10}, **axes)
