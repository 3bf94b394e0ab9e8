"""Read the rows of a table: the image that each names, its class and its part; collect every fault by kind."""

from typing import NamedTuple

from deepen.core.counts import pluralize
from deepen.core.errors import InputError, quote
from deepen.core.nearest import suggest_name
from deepen.datasets.archive_names import normalize_nfc
from deepen.datasets.layout import FOLDERS, PART_ALIASES, locate
from deepen.datasets.tables.choice import Chosen, TableChoice
from deepen.datasets.tables.files import TableFile
from deepen.datasets.tables.names import ImageNames
from deepen.datasets.tables.reading import Row
from deepen.datasets.walk import PathParts

_MISSING = ("nan", "<na>", "null", "n/a", "#n/a")  # as pandas, databases and spreadsheets write them


class Listed(NamedTuple):
    """The class of an image, the folder or split of its part ("" if neither is known), and the line of its row."""

    label: str
    part: str
    line: int


class RowReader:
    """Reads rows of one table; `images` has what they list, `faults` a sentence for each kind of fault.

    `repeated` and `moved` have the images of equal rows, and of those whose split is not that of their folder.
    """

    def __init__(self, file: TableFile, columns: Chosen, names: ImageNames, choice: TableChoice) -> None:
        self._file, self._columns, self._names, self._choice = file, columns, names, choice
        self.images: dict[PathParts, Listed] = {}
        self.repeated: list[str] = []
        self.moved: list[str] = []
        self._faults: dict[str, tuple[int, str]] = {}
        self._counts: dict[str, int] = {}

    @property
    def faults(self) -> list[str]:
        """A sentence for each kind of fault, with its first row."""
        more = {kind: f" and {pluralize(count - 1, 'more row')}" * (count > 1) for kind, count in self._counts.items()}
        return [f"line {line}{more[kind]}: {fault}" for kind, (line, fault) in self._faults.items()]

    def read(self, row: Row) -> None:
        """Add the image of a row."""
        name, label = row.cells[self._columns.file], normalize_nfc(row.cells[self._columns.label])
        path = self._find(name, row.line)
        split = self._read_split(row)
        if fault := _find_label_fault(name, label):
            self._report("label", row.line, fault)
        if path is None or split is None or not label:
            return
        place = locate(path, len(path) - 1)
        part = split or self._file.part or (place.part if place else "")
        listed = Listed(label, part, row.line)
        first = self.images.setdefault(path, listed)
        shown = quote("/".join(path))
        if first is not listed:
            self._compare(shown, first, listed)
        elif split and place and FOLDERS[place.part] != split:
            self.moved.append(shown)

    def _report(self, kind: str, line: int, fault: str) -> None:
        self._faults.setdefault(kind, (line, fault))
        self._counts[kind] = self._counts.get(kind, 0) + 1

    def _find(self, name: str, line: int) -> PathParts | None:
        if not name:
            self._report("name", line, "has no file name; write one, or remove the row")
            return None
        try:
            return self._names.find(name, self._file.folder, self._file.part_folder)
        except InputError as error:
            kind = "missing" if error.faults[0].startswith("no image") else "unclear"
            self._report(kind, line, error.faults[0])
            return None

    def _read_split(self, row: Row) -> str | None:
        """Return the part that the split column says; "" without one, and None for an unknown part."""
        if self._columns.split is None:
            return ""
        split = row.cells[self._columns.split]
        alias = PART_ALIASES.get(split.lower())
        if alias is None:
            known = "train, validation or test"
            setting = self._choice.name_setting("split")
            fault = f"the split {split!a} is unknown" if split else "has no split"
            remedy = suggest_name(split, PART_ALIASES) or f"; write {known}, or ignore the column with {setting}=none"
            self._report("split", row.line, fault + remedy)
            return None
        return FOLDERS[alias]

    def _compare(self, path: str, first: Listed, other: Listed) -> None:
        if first.label != other.label:
            fault = f"{path} has the class {other.label!a}, but {first.label!a} in line {first.line}"
            self._report("class", other.line, f"{fault}; an image has one class: keep one row, or leave the image out")
        elif first.part != other.part:
            fault = f"{path} is in {other.part}, but in {first.part} in line {first.line}"
            self._report("part", other.line, f"{fault}; keep one row")
        else:
            self.repeated.append(path)


def _find_label_fault(name: str, label: str) -> str | None:
    """Return the fault of an empty class, also of one that a program wrote as a missing value."""
    if not label:
        return f"{name!a} has no class; write one, or remove the row"
    if label.lower() in _MISSING:
        return f"{name!a} has the class {label!a}, which stands for a missing value; write a class, or remove the row"
    return None
