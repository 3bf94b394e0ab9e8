"""What people look at: every function draws one picture and returns it."""

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from deepen.images import ImageSet
from deepen.writing import replacing

_MOST_CELLS = 20  # classes up to which a confusion matrix has its numbers written in


def as_png(figure: Figure) -> bytes:
    """A PNG; equal figures give equal bytes, so nothing of when and by what it was written goes in."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=120, metadata={"Software": None})
    return file.getvalue()


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG file, equal for equal figures."""
    with replacing(path) as temporary:
        temporary.write_bytes(as_png(figure))


def draw_curves(curves: pd.DataFrame) -> Figure:
    """Loss and validation top-1 over the epochs, all models in one picture; `curves` is tables.curves_table."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    models = curves.groupby("model", sort=False)
    for color, (model, rows) in zip(_colors(len(models)), models, strict=True):
        loss.plot(rows["epoch"], rows["loss"], color=color, marker=".", label=f"{model}, training")
        loss.plot(rows["epoch"], rows["val_loss"], color=color, linestyle="--", label=f"{model}, validation")
        accuracy.plot(rows["epoch"], rows["val_top1"], color=color, marker=".", label=str(model))
    loss.set(xlabel="epoch of the model", ylabel="loss (nats)", title="Loss")
    accuracy.set(xlabel="epoch of the model", ylabel="top-1 (percent)", title="Validation accuracy")
    for axes in (loss, accuracy):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False, fontsize="small")
        _unclutter(axes)
    return figure


def draw_depth(topk: pd.DataFrame) -> Figure:
    """Test accuracy over depth, a line for each k; `topk` is tables.topk_table."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for color, (k, rows) in zip(_colors(topk["k"].nunique()), topk.groupby("k"), strict=True):
        axes.plot(rows["model"], rows["accuracy"], color=color, marker="o", label=f"top-{k}")
    axes.set(xlabel="model, shallowest first", ylabel="accuracy (percent)", title="Test accuracy by depth")
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    _unclutter(axes)
    return figure


def draw_confusion(actual: ArrayLike, predicted: ArrayLike, classes: Sequence[str], title: str) -> Figure:
    """Which class is taken for which: each row is a class's images in percent, with counts where there is room."""
    counts = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(counts, (np.asarray(actual), np.asarray(predicted)), 1)
    percent = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = min(4 + 0.35 * len(classes), 14)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(percent, cmap="Blues", vmin=0, vmax=100)
    figure.colorbar(image, ax=axes, label="percent of the actual class", shrink=0.8)
    axes.set(xlabel="predicted", ylabel="actual", title=title)
    if len(classes) <= 50:
        options: dict[str, Any] = {"parse_math": False}  # a dollar in a name is a dollar
        axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right", rotation_mode="anchor", **options)
        axes.set_yticks(range(len(classes)), classes, **options)
    if len(classes) <= _MOST_CELLS:
        for row, column in np.ndindex(*counts.shape):
            if counts[row, column]:
                color = "white" if percent[row, column] > 50 else "black"
                axes.text(
                    column, row, str(counts[row, column]), ha="center", va="center", color=color, fontsize="small"
                )
    return figure


def draw_filters(weight: NDArray[np.float32], title: str, like: NDArray[np.float32] | None = None) -> Figure:
    """The first layer's filters (out, channels, height, width), as colour where there are three channels.

    Black and white are the smallest and the largest weight, those of `like`, to compare with, counted.
    """
    filters = weight
    both = [filters] if like is None else [filters, like]
    low, high = min(each.min() for each in both), max(each.max() for each in both)
    filters = (filters - low) / max(high - low, 1e-12)
    columns = math.ceil(math.sqrt(2 * len(filters)))
    tiles = filters.transpose(0, 2, 3, 1) if filters.shape[1] == 3 else filters.mean(1)[..., None]
    return _mosaic(tiles, columns, title)


def draw_augmentation(examples: ImageSet) -> Figure:
    """What examples.augmentation_examples gives: a row of images, and below it a row for each form."""
    columns = int((examples.labels == 0).sum())
    tiles = examples.images.transpose(0, 2, 3, 1) / 255
    return _mosaic(tiles, columns, "Top row: the image. Below: what training may see of it.")


def _mosaic(tiles: NDArray[np.floating], columns: int, title: str) -> Figure:
    """Tiles (n, height, width, channels), 0-1, side by side, a line of white between them."""
    n, height, width, channels = tiles.shape
    rows = math.ceil(n / columns)
    canvas = np.ones((rows * (height + 1) - 1, columns * (width + 1) - 1, channels))
    for i, tile in enumerate(tiles):
        y, x = i // columns * (height + 1), i % columns * (width + 1)
        canvas[y : y + height, x : x + width] = tile
    figure = Figure(figsize=(10, 10 * canvas.shape[0] / canvas.shape[1] + 0.5), layout="constrained")
    axes = figure.subplots()
    axes.imshow(canvas.squeeze(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_title(title, fontsize="medium")
    axes.axis("off")
    return figure


def _unclutter(axes: Axes) -> None:
    axes.spines[["right", "top"]].set_visible(False)
    axes.grid(alpha=0.3)


def _colors(count: int) -> list[tuple[float, ...]]:
    """Colours that stay apart for the colour-blind and in print."""
    return [tuple(color) for color in mpl.colormaps["viridis"](np.linspace(0, 0.85, count))]
