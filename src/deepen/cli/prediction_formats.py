"""Output formats of `deepen predict`: write predictions as a table, JSON or CSV."""

import csv
import io
import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabulate import tabulate

from deepen.core.errors import quote
from deepen.report.spreadsheets import escape_formula


@dataclass(frozen=True)
class FilePrediction:
    """Hold the most probable classes of an image file with their probabilities.

    `best` is None if the file can't be read; `fault` says why. `notes` are warnings.
    """

    file: Path
    best: list[tuple[str, float]] | None
    fault: str
    notes: tuple[str, ...]


def write_table(predictions: Iterable[FilePrediction]) -> None:
    """Print a row per image, or a paragraph per image if rows are wider than the terminal."""
    rows = [
        [quote(one.file), *(f"{name} {100 * probability:.1f} %" for name, probability in one.best)]
        for one in predictions
        if one.best is not None
    ]
    if not rows:
        return
    _set_encoding()
    table = tabulate(rows, ["image", *map(str, range(1, len(rows[0])))], disable_numparse=True)
    width = max(80, shutil.get_terminal_size().columns)
    if max(map(len, table.splitlines())) > width:
        table = "\n".join(
            textwrap.fill(
                f"{file}: {', '.join(classes)}",
                width,
                subsequent_indent="  ",
                break_long_words=False,
                break_on_hyphens=False,
            )
            for file, *classes in rows
        )
    print(table)


def write_json(predictions: Iterable[FilePrediction]) -> None:
    """Print a JSON array with one image per line."""
    before = "[\n"
    for one in predictions:
        classes = [{"class": name, "probability": round(probability, 6)} for name, probability in one.best or ()]
        row: dict[str, Any] = {"image": os.fspath(one.file), "classes": classes}
        row |= {"error": one.fault} if one.fault else {}
        row |= {"warnings": one.notes} if one.notes else {}
        print(before + json.dumps(row), end="")
        before = ",\n"
    print("\n]" if before != "[\n" else "[]")


def write_csv(predictions: Iterable[FilePrediction]) -> None:
    """Print CSV in UTF-8 with one row per image and class."""
    _set_encoding("utf-8")
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["image", "rank", "class", "probability"])
    for one in predictions:
        name = escape_formula(quote(one.file))
        table.writerows(
            [name, rank, escape_formula(label), f"{p:.6f}"] for rank, (label, p) in enumerate(one.best or (), 1)
        )


def _set_encoding(encoding: str | None = None, errors: str = "backslashreplace") -> None:
    """Set the encoding of standard output; escape characters that it lacks."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding=encoding, errors=errors)
