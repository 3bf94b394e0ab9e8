"""Curves that can be watched while a model trains: by `dvc plots show` and the VS Code extension."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from deepen.history import Epoch
from deepen.writing import write_text


class LiveCurves:
    """Keeps what each epoch found in `path`, tab-separated: a row an epoch, a column a field of Epoch.

    The table is written anew each time, so that readers always find it whole.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: list[Epoch] = []

    def start(self, history: Sequence[Epoch]) -> None:
        """Write the epochs of an earlier process, where there are any; DVC has removed the table that it left."""
        self._rows = list(history)
        if history:
            self._write()

    def add(self, row: Epoch) -> None:
        """Write an epoch; raises InputError where the disk does not take it."""
        self._rows.append(row)
        self._write()

    def _write(self) -> None:
        cells = [asdict(row) for row in self._rows]
        lines = [list(cells[0]), *(map(str, row.values()) for row in cells)]
        write_text(self._path, "".join("\t".join(line) + "\n" for line in lines))
