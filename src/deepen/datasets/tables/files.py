"""Find the tables that list the classes of images: in the images' folder or archive, or outside it."""

import os
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from deepen.config.dataset_settings import Columns
from deepen.core.errors import InputError, quote, trim
from deepen.core.shell import quote_path
from deepen.core.wording import describe_cause
from deepen.datasets.archive_names import normalize_nfc
from deepen.datasets.files import read_file
from deepen.datasets.layout import locate
from deepen.datasets.tables.choice import TableChoice
from deepen.datasets.tables.reading import read_table
from deepen.datasets.walk import METADATA, PathParts, Walk


@dataclass(frozen=True)
class TableFile:
    """A table's name for messages, its folder below the root of the images (None: outside), and its content."""

    name: str
    folder: PathParts | None
    content: bytes

    @property
    def part_folder(self) -> PathParts:
        """The path of the folder train, val or test that has this table, and whose images it lists; else ()."""
        place = locate(self.folder or (), len(self.folder or ()))
        return (*place.parent, place.part) if place else ()

    @property
    def part(self) -> str | None:
        """The name of that folder."""
        return next(iter(self.part_folder[-1:]), None)


def wanted_names(choice: TableChoice) -> tuple[PathParts, ...]:
    """Return the last elements of the paths that tables may have in a root."""
    if choice.table is None:
        return METADATA
    path = PurePosixPath(choice.table)
    return () if path.is_absolute() or ".." in path.parts else (tuple(map(normalize_nfc, path.parts)),)


def find_tables(choice: TableChoice, walk: Walk) -> list[TableFile]:
    """Return the table, or one for each part, such as train/metadata.csv; `walk` has ended.

    Raises InputError if there is none, or more than one for the same images.
    """
    tables = [TableFile(quote("/".join(path)), path[:-1], content) for path, content in walk.tables.items()]
    if (outside := _read_outside(choice, walk.root)) and outside not in tables:
        tables.append(outside)
    if not tables:
        raise InputError(_describe_missing(choice, walk))
    parts = [table.part for table in tables]
    if len(tables) > 1 and (None in parts or len(set(parts)) < len(parts)):
        names = ", ".join(trim([table.name + " outside the images" * (table.folder is None) for table in tables]))
        raise InputError(f"more than one table may list the classes: {names}; keep one")
    return tables


def _read_outside(choice: TableChoice, root: Path) -> TableFile | None:
    if (path := choice.find_outside()) is None:
        return None
    try:
        content = read_file(path)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{quote(choice.table)}: can't be read ({describe_cause(error)}); name another file"
        ) from error
    below = _relate(path, root)
    return (
        TableFile(quote(path.name), None, content)
        if below is None
        else TableFile(quote("/".join(below)), below[:-1], content)
    )


def _relate(path: Path, root: Path) -> PathParts | None:
    """Return the path of a file below a root; None if it is elsewhere."""
    real, base = Path(os.path.realpath(path)), Path(os.path.realpath(root))
    return tuple(map(normalize_nfc, real.relative_to(base).parts)) if real.is_relative_to(base) else None


def _describe_missing(choice: TableChoice, walk: Walk) -> str:
    """Return the fault of a table that does not exist, with the tables that do."""
    where = "the project folder" if choice.entry else "the current folder"
    setting = choice.name_setting("labels")
    found = (
        f"; choose the table with {setting}={quote_path(walk.readable[0])}" if walk.readable else "; correct its name"
    )
    if choice.exists():
        return f"{quote(choice.table)}: not a file, as a table must be{found}"
    return f"{quote(choice.table)}: no such file in it or in {where}{found}"


def find_table_faults(choice: TableChoice, walk: Walk) -> list[str]:
    """Return a fault for each table of a walk that does not list classes."""
    faults: list[str] = []
    for path, content in walk.tables.items():
        try:
            replace(choice, found=path[-1]).choose_columns(read_table(path[-1], content))
        except InputError as error:
            faults += [f"{quote('/'.join(path))}: {fault}" for fault in error.faults]
    return faults


def describe_unused(choice: TableChoice, walk: Walk) -> list[str]:
    """Return a sentence on tables, or columns of them, that are not used, since the folders are the classes."""
    labels = choice.name_setting("labels")
    if not walk.tables:
        told = f"columns: not used, since the class folders tell the classes; to use a table, add {labels}=labels.csv"
        return [told] * (choice.columns != Columns())
    names = ", ".join(trim([quote("/".join(path)) for path in walk.tables], 3))
    remedy = f"; to use it, add {labels}={next(iter(walk.tables))[-1]}" * (not find_table_faults(choice, walk))
    return [f"{names}: not used, since the class folders tell the classes{remedy}"]
