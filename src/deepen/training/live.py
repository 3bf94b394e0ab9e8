"""Live training curves, a TSV file for `dvc plots show` and DVC's VS Code extension."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from deepen.core.files import write_text
from deepen.records.history import Epoch
from deepen.training.callback import Callback


def load_live(path: Path) -> list[Epoch]:
    """Return the epochs in the table that LiveCurves writes; empty if the file is missing or is not such a table."""
    try:
        heads, *rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
        if heads != [field.name for field in fields(Epoch)]:
            return []
        return [Epoch(int(number), *map(float, values)) for number, *values in rows]
    except (OSError, ValueError, TypeError):
        return []


class LiveCurves(Callback):
    """A tab-separated table at `path`: one row per epoch, one column per field of Epoch.

    Each epoch replaces the whole file at once, so readers never see half a table.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: list[Epoch] = []

    def start(self, steps: int, history: Sequence[Epoch]) -> None:
        """Write the epochs of a resumed training, if any; DVC has removed the earlier process' table."""
        self._rows = list(history)
        if history:
            self._write()

    def epoch(self, row: Epoch) -> None:
        """Add an epoch; raises InputError if writing fails."""
        self._rows.append(row)
        self._write()

    def _write(self) -> None:
        cells = [asdict(row) for row in self._rows]
        lines = [list(cells[0]), *(map(str, row.values()) for row in cells)]
        write_text(self._path, "".join("\t".join(line) + "\n" for line in lines))
