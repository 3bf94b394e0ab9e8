"""CSV files without formulas that a spreadsheet would run (OWASP, "CSV Injection")."""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence

_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")  # first characters of a formula, also full-width


def escape_formula(text: str) -> str:
    """Prefix the text of a cell with an apostrophe if a spreadsheet would run it as a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def format_csv(rows: Sequence[Mapping[str, object]], headings: Sequence[str] = ()) -> str:
    """Format rows of cells by heading as CSV, with the headings of the first row by default; None and NaN are empty.

    Formulas in texts and headings are escaped. Fractions have 8 digits, one more than float32 has.
    """
    headings = headings or list(rows[0])
    lines = [map(escape_formula, headings), *([_convert_cell(row[heading]) for heading in headings] for row in rows)]
    return "".join(map(_format_line, lines))


def _format_line(cells: Iterable[object]) -> str:
    """Format a line; cells with a comma, a quote or a line break are quoted, which csv does for its own terminator."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue().removesuffix("\r\n") + "\n"


def _convert_cell(cell: object) -> object:
    if isinstance(cell, float):
        return None if math.isnan(cell) else float(f"{cell:.8g}")
    return escape_formula(cell) if isinstance(cell, str) else cell
