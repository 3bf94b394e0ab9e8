"""Image sets from staged images: their labels, their name, and the fault of different sizes."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from deepen.core.errors import quote
from deepen.data.images import ImageSet


@dataclass(frozen=True)
class LabelledImages:
    """Labelled images, the folder they are from (for example test, or None for the whole root), and notes."""

    images: ImageSet
    part: str | None
    notes: Sequence[str]


def find_size_faults(sizes: set[tuple[int, int]], entry: str) -> list[str]:
    """Return the fault of images of several sizes; `entry` is the data set in params.yaml."""
    if len(sizes) == 1:
        return []
    (h, w), (least_h, least_w) = max(sizes), min(sizes)
    return [
        f"has images of {len(sizes)} sizes, from {least_w}x{least_h} to {w}x{h} pixels; set one for all, for example "
        f"with -S datasets.{entry}.size=64, or size: 64 below datasets.{entry} in params.yaml"
    ]


def select_labelled(images: ImageSet, rows: list[tuple[int, int]]) -> ImageSet:
    """Select rows of a set without labels: each of `rows` is (label, row)."""
    labels, numbers = np.array(rows, np.int64).reshape(-1, 2).T
    return replace(images, labels=labels.copy(), rows=numbers.astype(np.intp))


def data_name(root: Path) -> str:
    """Return the name of a data set: that of its folder, or of its archive without the extension."""
    name = Path(os.path.abspath(root)).name
    return quote(name if root.is_dir() else _ARCHIVE.sub("", name) or name) or "folder"


_ARCHIVE = re.compile(r"\.(zip|tar|t(ar\.)?(gz|xz|bz2)|tbz)$", re.IGNORECASE)
NO_LABELS = np.zeros(0, np.int64)
