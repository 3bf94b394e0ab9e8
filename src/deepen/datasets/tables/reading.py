"""Read tables that list images: CSV with any usual delimiter, or one JSON object per line. All cells are text."""

import csv
import io
import json
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from deepen.core.counts import pluralize
from deepen.core.errors import InputError
from deepen.core.wording import describe_cause, format_value
from deepen.decoding.formats import find_format_by_name

_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class Row(NamedTuple):
    """A row of a table: the number of its first line, counted from 1, and its cells without surrounding spaces."""

    line: int
    cells: list[str]


class Table(NamedTuple):
    """A table: the names of its columns, and its rows, which are as long."""

    columns: list[str]
    rows: list[Row]


def read_table(name: str, content: bytes) -> Table:
    """Read a CSV file or, by its extension, a .jsonl file; raises InputError for invalid text, quotes or rows."""
    text = _decode(content)
    table = _read_json_lines(text) if name.lower().endswith(".jsonl") else _read_csv(text)
    if not table.rows:
        raise InputError("has no rows; write one for each image")
    return table


def decode_roughly(content: bytes) -> str:
    """Return the text of a table, with marks for what can't be decoded."""
    return content.decode(_find_encoding(content), errors="replace")


def _find_encoding(content: bytes) -> str:
    return "utf-16" if content.startswith(_UTF16) else "utf-8-sig"


def _decode(content: bytes) -> str:
    try:
        text = content.decode(_find_encoding(content))
    except UnicodeDecodeError as error:
        cause = describe_cause(error) if error.encoding.startswith("utf-8") else "damaged UTF-16 text"
        raise InputError(f"{cause}; save it as UTF-8 (in spreadsheets: CSV UTF-8)") from error
    if "\0" in text:
        raise InputError("has a NUL character, which text never has; save it as CSV in UTF-8")
    return text


def _read_csv(text: str) -> Table:
    delimiter = _choose_delimiter(text)
    rows = list(_parse(text, delimiter))
    header = rows.pop(0)
    _require_names(header)
    return Table(header.cells, _require_equal_length(rows, len(header.cells), delimiter))


def _choose_delimiter(text: str) -> str:
    """Return the delimiter that splits most rows into as many cells as the first one, and of several the most."""
    widths = {each: _count_columns(text, each) for each in _DELIMITERS}
    usable = [each for each, width in widths.items() if width > 1]
    if not usable:
        first = next(chain(_parse(text, ","), [Row(1, [])]))  # raises InputError for invalid quotes
        raise InputError(
            f"line {first.line}: has {pluralize(len(first.cells), 'column')}, but at least two are needed; write their "
            "names, for example file_name,label, separated by a comma, semicolon, tab or vertical bar"
        )
    if len(usable) == 1:
        return usable[0]
    return max(usable, key=lambda each: (_count_rows(text, each, widths[each]), widths[each]))


def _count_columns(text: str, delimiter: str) -> int:
    try:
        return len(next(chain(_parse(text, delimiter), [Row(1, [])])).cells)
    except InputError:
        return 0


def _count_rows(text: str, delimiter: str, width: int) -> int:
    """Return how many rows have `width` cells."""
    try:
        return sum(len(row.cells) == width for row in _parse(text, delimiter))
    except InputError:
        return 0


def _parse(text: str, delimiter: str) -> Iterator[Row]:
    """Yield the rows that are not blank; raises InputError for invalid quotes."""
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))  # of the whole process, so it is never lowered
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    line = 1
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                yield Row(line, stripped)
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(
            f"line {line}: invalid quotes ({error}); close each quote, and double quotes within a cell"
        ) from error


def _require_names(header: Row) -> None:
    """Raise InputError for a first row that has data instead of the names of columns."""
    if any(find_format_by_name(cell) for cell in header.cells):
        raise InputError(
            f"line {header.line}: must name the columns, got {', '.join(map(repr, header.cells))[:100]}; insert a line "
            "such as file_name,label before it"
        )


def _require_equal_length(rows: list[Row], width: int, delimiter: str) -> list[Row]:
    """Return the rows without empty cells behind their end; raises InputError for rows of another length."""
    wrong = [row for row in rows if len(row.cells) < width or any(row.cells[width:])]
    if wrong:
        first = wrong[0]
        more = f", and {pluralize(len(wrong) - 1, 'more row')} another number" if len(wrong) > 1 else ""
        raise InputError(
            f"line {first.line}: has {pluralize(len(first.cells), 'cell')}, but the first line has {width}{more}; "
            f'put a cell that contains a {_DELIMITERS[delimiter]} into double quotes ("")'
        )
    return [Row(row.line, row.cells[:width]) for row in rows]


def _read_json_lines(text: str) -> Table:
    found = [(line, _read_object(line, content)) for line, content in enumerate(text.split("\n"), 1) if content.strip()]
    columns = list(dict.fromkeys(key for _, row in found for key in row))
    return Table(columns, [Row(line, [_format_cell(row.get(key)) for key in columns]) for line, row in found])


def _read_object(line: int, content: str) -> dict[str, object]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"line {line}: invalid JSON ({error}); write one object on each line") from error
    if not isinstance(found, dict):
        raise InputError(f"line {line}: must be a JSON object, got {format_value(found)}; write for example {{...}}")
    return found


def _format_cell(value: object) -> str:
    """Return a JSON value as a cell: "" for null, and lists and objects as JSON."""
    if value is None or isinstance(value, str):
        return (value or "").strip()
    return json.dumps(value)
