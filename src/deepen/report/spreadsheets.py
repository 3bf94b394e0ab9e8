"""CSV that a spreadsheet shows and does not run (OWASP, "CSV Injection")."""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence

_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")  # what opens a formula, also as full-width characters


def inert(text: str) -> str:
    """A text of a cell, with an apostrophe before it where a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def as_csv(rows: Sequence[Mapping[str, object]], headings: Sequence[str] = ()) -> str:
    """Rows of cells by heading as CSV, with these headings, else those of the first row; what is missing is empty.

    Texts and headings are inert, numbers stay as they are.
    """
    headings = headings or list(rows[0])
    lines = [map(inert, headings), *([_cell(row[heading]) for heading in headings] for row in rows)]
    return "".join(map(_line, lines))


def _line(cells: Iterable[object]) -> str:
    """Cells in quotes where they have a comma, a quote or an end of line: the writer looks for those of its own."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue().removesuffix("\r\n") + "\n"


def _cell(cell: object) -> object:
    if isinstance(cell, float) and math.isnan(cell):
        return None
    return inert(cell) if isinstance(cell, str) else cell
