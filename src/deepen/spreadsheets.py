"""CSV that a spreadsheet shows and does not run (OWASP, "CSV Injection")."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")  # what opens a formula, also as full-width characters


def inert(text: str) -> str:
    """A text of a cell, with an apostrophe before it where a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def as_csv(table: "pd.DataFrame") -> str:
    """A table as CSV without its index; texts and headings are inert, numbers stay as they are."""
    texts = [column for column in table if table[column].dtype.kind == "O"]
    inert_table = table.assign(**{str(column): table[column].map(_inert_text) for column in texts})
    return inert_table.rename(columns=inert).to_csv(index=False)


def _inert_text(cell: object) -> object:
    return inert(cell) if isinstance(cell, str) else cell
