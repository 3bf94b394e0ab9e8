"""Find the table that lists the classes of a folder of images, and the settings that name it."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from deepen.config.dataset_settings import Columns, Folder
from deepen.core.errors import InputError, quote, trim
from deepen.datasets.tables.choice import KINDS, TableChoice
from deepen.datasets.tables.listing import read_listing
from deepen.datasets.walk import Walk
from deepen.project.locations import locate_images


def find_table(root: Path, walk: Walk, layout: Sequence[str]) -> TableChoice | None:
    """Return the only table of a walk that lists images and their classes; None if a walk has no tables.

    Raises InputError if several do, and with the faults of the tables and of the `layout` if none does.
    """
    fits, faults = list[str](), list[str]()
    for name in walk.readable:
        try:
            read_listing(root, TableChoice(name))
            fits.append(name)
        except InputError as error:
            faults += error.faults
    if len(fits) > 1:
        names = ", ".join(trim(list(map(quote, fits)), 5))
        raise InputError(
            f"{root}: several tables list classes: {names}; "
            f"choose one, for example --labels {shlex.quote(fits[0])}, or join them"
        )
    if not fits and faults:
        raise InputError(trim([*(f"{root}: {fault}" for fault in layout), *faults]))
    return TableChoice(fits[0]) if fits else None


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
