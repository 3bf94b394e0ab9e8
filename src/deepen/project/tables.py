"""Find the table that lists the classes of a folder of images, and the settings that name it."""

import re
from collections.abc import Sequence
from pathlib import Path

from deepen.config.dataset_settings import Columns, Folder
from deepen.core.errors import InputError, quote, trim
from deepen.core.shell import quote_path
from deepen.datasets.tables.choice import KINDS, TableChoice, has_file_column
from deepen.datasets.tables.files import wanted_names
from deepen.datasets.tables.listing import read_listing
from deepen.datasets.tables.reading import decode_roughly
from deepen.datasets.walk import Walk
from deepen.project.locations import locate_images


def find_table(root: Path, walk: Walk, layout: Sequence[str]) -> TableChoice | None:
    """Return the only table of a walk that lists images and their classes; None if a walk has no tables.

    Raises InputError if several do. If none does, with the faults of the tables that are meant to, else with those of
    the `layout` and of all tables.
    """
    fits, faults = list[str](), dict[str, Sequence[str]]()
    for name in walk.readable:
        try:
            read_listing(root, TableChoice(name, found=name))
            fits.append(name)
        except InputError as error:
            faults[name] = error.faults
    if len(fits) > 1:
        names = ", ".join(trim(list(map(quote, fits)), 5))
        raise InputError(
            f"{root}: several tables list classes: {names}; "
            f"choose one, for example --labels {quote_path(fits[0])}, or join them"
        )
    if not fits and faults:
        meant = [name for name in faults if _is_meant(root, name)]
        told = [] if meant else [f"{root}: {fault}" for fault in layout]
        raise InputError(trim([*told, *(fault for name in meant or faults for fault in faults[name])]))
    return TableChoice(fits[0], found=fits[0]) if fits else None


def _is_meant(root: Path, name: str) -> bool:
    """Return whether a table seems to list the images of a root, though it can't be read or used.

    It has a column with a usual name for files, or the names of some images, or of half of them without extensions.
    """
    walk = Walk(root, wanted_names(TableChoice(name)))
    names = [entry.parts[-1] for entry in walk if entry.read is not None]
    text = "\n".join(map(decode_roughly, walk.tables.values())).strip()
    cells = set(_split_roughly(text))
    stems = sum(image.rpartition(".")[0] in cells for image in names)
    header = _split_roughly(text.partition("\n")[0])
    return has_file_column(header) or not cells.isdisjoint(names) or 2 * stems >= len(names)


def _split_roughly(text: str) -> list[str]:
    """Return the cells in a text of a table that may be damaged, and the elements of paths in them."""
    return [cell.strip() for cell in re.split(r"[,;|\t\r\n/\\\"]", text)]


def name_table(choice: TableChoice, root: Path, project: Path) -> str:
    """Return the value of `labels` in a project's params.yaml for a table chosen on the command line."""
    if (path := choice.find_outside()) is None:
        return choice.table or "auto"
    if path.resolve().is_relative_to(root.resolve()):
        return str(path.resolve().relative_to(root.resolve()))
    return locate_images(path, project)


def list_table_changes(dataset: Folder, labels: str, columns: Columns) -> dict[str, str]:
    """Return the settings of a data set that have to change, by their path in it, so that it uses a table, or none."""
    wanted = {"labels": labels} | {f"columns.{kind}": getattr(columns, kind) for kind in KINDS}
    now = {"labels": dataset.labels} | {f"columns.{kind}": getattr(dataset.columns, kind) for kind in KINDS}
    return {path: value for path, value in wanted.items() if value != now[path]}
