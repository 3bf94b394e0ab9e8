"""The options of a table that lists the classes of images."""

import argparse
from typing import TYPE_CHECKING

from deepen.cli.arguments import parse_file_name
from deepen.core.errors import InputError

if TYPE_CHECKING:
    from deepen.datasets.tables.choice import TableChoice

_COLUMNS = {
    "file": ("file names", "file_name, image, path or a similar name"),
    "label": ("classes", "label, class or a similar name, or the only other column"),
    "split": ("parts (train, validation, test)", "split, subset or partition; none: the folders tell the parts"),
}


def add_table(parser: argparse.ArgumentParser) -> None:
    """Add the options --labels, --file-column, --label-column and --split-column."""
    parser.add_argument(
        "--labels",
        type=parse_file_name,
        metavar="FILE.csv",
        help="a table with the class of each image, among them or elsewhere (default: class folders, or metadata.csv)",
    )
    for name, (meaning, default) in _COLUMNS.items():
        text = f"the column with {meaning} (default: {default})"
        parser.add_argument(f"--{name}-column", metavar="NAME", help=text)


def make_table_choice(options: argparse.Namespace) -> "TableChoice":
    """Return the table that the options name; raises InputError for a column without a table."""
    from deepen.config.dataset_settings import Columns
    from deepen.datasets.tables.choice import TableChoice

    columns = {name: value for name in _COLUMNS if (value := getattr(options, f"{name}_column")) is not None}
    if columns and options.labels is None:
        name = next(iter(columns))
        raise InputError(f"--{name}-column: requires --labels; add --labels FILE.csv, or omit it")
    if empty := [name for name, value in columns.items() if not value]:
        raise InputError(f"--{empty[0]}-column: empty name; write the name of a column")
    return TableChoice(options.labels, Columns.model_construct(**columns))
