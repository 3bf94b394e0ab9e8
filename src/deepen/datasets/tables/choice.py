"""The table that lists the classes of images, as settings or the command line name it, and its columns."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, Self, get_args

from deepen.config.dataset_settings import Columns, Folder
from deepen.core.errors import InputError, quote, trim
from deepen.core.nearest import suggest_name
from deepen.core.shell import quote_path, quote_word
from deepen.datasets.part_names import is_of_parts, resembles_part
from deepen.datasets.tables.reading import Table

Kind = Literal["file", "label", "split"]
KINDS: tuple[Kind, ...] = get_args(Kind)
# usual names, in lower case: those of the first group that a table has
_USUAL: dict[Kind, tuple[tuple[str, ...], ...]] = {
    "file": (
        ("file_name",),
        ("filename", "file", "filepath", "file_path", "path", "image", "image_name", "image_path", "img"),
        ("image_id", "img_id", "id"),
    ),
    "label": (("label",), ("class", "category", "target", "class_name", "class_label", "label_name")),
    "split": (("split",), ("subset", "partition")),
}
_MEANING: dict[Kind, str] = {"file": "file names", "label": "classes", "split": "parts"}


class Chosen(NamedTuple):
    """The positions of a table's columns; `split` is None if no column says which part an image is in."""

    file: int
    label: int
    split: int | None


@dataclass(frozen=True)
class TableChoice:
    """The table to use: its path, in the images' root or relative to `base`; None for class folders or metadata.csv.

    `entry` is the data set in params.yaml, None on the command line. `found` is a table that no option names.
    """

    table: str | None = None
    columns: Columns = field(default_factory=Columns)
    base: Path = Path()
    entry: str | None = None
    found: str | None = None

    @classmethod
    def from_settings(cls, dataset: Folder, base: Path, entry: str) -> Self:
        """Return the choice of a data set in params.yaml; relative paths start at `base`."""
        table = None if dataset.labels == "auto" else dataset.labels
        return cls(table, dataset.columns, base, entry)

    def find_outside(self) -> Path | None:
        """Return the path of a table that is a file by itself; None if at most the images' root has it."""
        path = self._locate()
        return path if path and path.is_file() else None

    def exists(self) -> bool:
        """Return whether anything, such as a folder or a pipe, is at the path of the table."""
        return self._locate() is not None

    def _locate(self) -> Path | None:
        """Return the path of what exists outside the images under the table's name."""
        if self.table is None:
            return None
        try:
            path = self.base / Path(self.table).expanduser()
            return path if path.exists() else None
        except (RuntimeError, OSError):  # ~ of an unknown user, or a name that is too long
            return None

    def name_setting(self, key: str) -> str:
        """Return what to set: `-S datasets.folder.labels`, or `--labels`; for a column, its `Kind`.

        The option of a column requires --labels, so a table that was found is named before it.
        """
        if self.entry is None:
            table = f"--labels={quote_path(self.found)} " if self.found else ""
            return "--labels" if key == "labels" else f"{table}--{key}-column"
        return f"-S datasets.{self.entry}." + ("labels" if key == "labels" else f"columns.{key}")

    def choose_columns(self, table: Table) -> Chosen:
        """Return the columns of a table; raises InputError for those that are missing or not unique."""
        faults: list[str] = []
        file, label, split = (self._find(kind, table.columns, faults) for kind in KINDS)
        if label is None and file is not None and self.table and len(table.columns) == 2:
            label = 1 - file
        for kind, found in zip(KINDS[:2], (file, label), strict=True):
            if found is None and not any(fault.startswith(f"column of {_MEANING[kind]}") for fault in faults):
                faults.append(self._describe_missing(kind, table))
        if split is None and not faults and self.columns.split == "auto":
            faults += self._find_unused_parts(table, (file, label))
        if faults or file is None or label is None:
            raise InputError(faults)
        return Chosen(file, label, split)

    def _find(self, kind: Kind, columns: list[str], faults: list[str]) -> int | None:
        wanted = getattr(self.columns, kind)
        if kind == "split" and wanted == "none":
            return None
        groups = _USUAL[kind] if wanted == "auto" else ((wanted,),)
        for group in groups:
            found = [at for at, name in enumerate(columns) if name in group] or [
                at for at, name in enumerate(columns) if name.lower() in map(str.lower, group)
            ]
            if len(found) == 1:
                return found[0]
            if found:
                faults.append(self._describe_several(kind, [columns[at] for at in found]))
                return None
        if wanted != "auto":
            names = ", ".join(trim(list(map(quote, columns))))
            faults.append(
                f"column of {_MEANING[kind]}: {self.name_setting(kind)}={quote(wanted)}, but the columns are {names}"
                f"{suggest_name(wanted, columns) or '; name one of them'}"
            )
        return None

    def _find_unused_parts(self, table: Table, used: Collection[int | None]) -> list[str]:
        """Return a fault for the first other column that may be of parts: ignoring it would mix the parts."""
        setting, faults = self.name_setting("split"), []
        for at, name in enumerate(table.columns):
            column = f"column {name!a}"
            if at in used:
                continue
            cells = [row.cells[at] for row in table.rows]
            parts = list(filter(resembles_part, cells))
            if parts and 2 * len(parts) >= len(cells):
                use = f"use it with {setting}={quote_word(name)}, or not"
                faults.append(f"{column} has names of parts, such as {quote(parts[0])}; {use} with {setting}=none")
            elif is_of_parts(name):
                faults.append(f"{column}: may tell the parts; write their names in it, or omit it with {setting}=none")
        return faults[:1]

    def _describe_several(self, kind: Kind, names: list[str]) -> str:
        several = " and ".join(map(quote, names))
        if len(set(names)) == 1:
            return (
                f"column of {_MEANING[kind]}: {len(names)} columns have the name {quote(names[0])}; rename all but one"
            )
        example = f"{self.name_setting(kind)}={quote_word(names[0])}"
        return f"column of {_MEANING[kind]}: may be {several}; choose one with {example}"

    def _describe_missing(self, kind: Kind, table: Table) -> str:
        names = ", ".join(trim(list(map(quote, table.columns))))
        if kind == "label" and len(marked := _find_indicators(table)) > 1:
            return (
                f"column of classes: {', '.join(trim(list(map(quote, marked)), 3))} have only 0 and 1, so each may be "
                "a class; write one column, label, with the name of each image's only class"
            )
        usual = _USUAL[kind][0][0]
        return (
            f"column of {_MEANING[kind]}: none is named {usual}, the columns are {names}; "
            f"name one with {self.name_setting(kind)}=..."
        )


def has_file_column(names: Iterable[str]) -> bool:
    """Return whether a usual name of the column with file names is among some; other tables have an id too."""
    usual = {name for group in _USUAL["file"] for name in group} - {"id"}
    return not usual.isdisjoint(map(str.lower, names))


def _find_indicators(table: Table) -> list[str]:
    """Return the columns whose cells are all 0 or 1."""
    kept = set(range(len(table.columns)))
    for row in table.rows:
        kept = {at for at in kept if row.cells[at] in ("0", "1", "0.0", "1.0")}
    return [table.columns[at] for at in sorted(kept)]
