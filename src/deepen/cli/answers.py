"""How `deepen predict` prints its answers: as a table, JSON or CSV."""

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

from deepen.core.errors import plain
from deepen.report.spreadsheets import inert


@dataclass(frozen=True)
class Answer:
    """A file's classes with their probabilities by rank, or None and why it can't be read; and notes on it."""

    file: Path
    best: list[tuple[str, float]] | None
    fault: str
    notes: tuple[str, ...]


def write_table(found: Iterable[Answer]) -> None:
    """A row an image; where that is wider than the terminal, a paragraph each."""
    rows = [
        [plain(one.file), *(f"{name} {100 * probability:.1f} %" for name, probability in one.best)]
        for one in found
        if one.best is not None
    ]
    if not rows:
        return
    _encode()
    table = tabulate(rows, ["image", *map(str, range(1, len(rows[0])))], disable_numparse=True)
    width = max(80, shutil.get_terminal_size().columns)
    if max(map(len, table.splitlines())) > width:
        said = [f"{file}: {', '.join(classes)}" for file, *classes in rows]
        table = "\n".join(
            textwrap.fill(each, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
            for each in said
        )
    print(table)


def write_json(found: Iterable[Answer]) -> None:
    """A JSON array, an image a line."""
    before = "[\n"
    for one in found:
        classes = [{"class": name, "probability": round(probability, 6)} for name, probability in one.best or ()]
        row: dict[str, Any] = {"image": os.fspath(one.file), "classes": classes}
        row |= {"error": one.fault} if one.fault else {}
        row |= {"warnings": one.notes} if one.notes else {}
        print(before + json.dumps(row), end="")
        before = ",\n"
    print("\n]" if before != "[\n" else "[]")


def write_csv(found: Iterable[Answer]) -> None:
    """A row an image and class, in UTF-8."""
    _encode("utf-8")
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["image", "rank", "class", "probability"])
    for one in found:
        name = inert(plain(one.file))
        table.writerows([name, rank, inert(label), f"{p:.6f}"] for rank, (label, p) in enumerate(one.best or (), 1))


def _encode(encoding: str | None = None, errors: str = "backslashreplace") -> None:
    """Have standard output write names in any script: in this encoding, or escaped where its own lacks them."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding=encoding, errors=errors)
