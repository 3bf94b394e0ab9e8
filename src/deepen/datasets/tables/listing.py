"""The class and the part of each image that the tables of a root list, known before any image is read."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from deepen.core.counts import pluralize
from deepen.core.errors import InputError, prefix_faults, quote, trim, unquote
from deepen.datasets.layout import FOLDERS
from deepen.datasets.parts import Part
from deepen.datasets.tables.choice import TableChoice
from deepen.datasets.tables.classes import find_label_faults, find_label_warnings
from deepen.datasets.tables.files import TableFile, find_tables, wanted_names
from deepen.datasets.tables.names import ImageNames
from deepen.datasets.tables.reading import read_table
from deepen.datasets.tables.rows import Listed, RowReader
from deepen.datasets.walk import PathParts, Walk

_SHOWN = 3  # names in a note


@dataclass
class Listing:
    """What the tables of a root list: by the path of each image. `by_split` is whether a column tells the parts."""

    name: str = ""  # of the tables, for messages
    by_split: bool = False
    images: dict[PathParts, Listed] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def part_of(self, image: Listed) -> Part:
        """Return the part of an image; images without any are for training."""
        return FOLDERS[image.part] if image.part else "train"

    def describe_origin(self, part: Part) -> str:
        """Return for example `from labels.csv`, with the split or the folder of the part."""
        if self.by_split:
            return f"from {self.name} (split {part})"
        folders = {image.part for image in self.images.values() if image.part and self.part_of(image) == part}
        where = " and ".join(f"{name}/" for name in sorted(folders))
        return f"from {where}, classes from {self.name}" if where else f"from {self.name}"


def read_listing(root: Path, choice: TableChoice) -> Listing:
    """Read the tables of a root, and find the images that they name; raises InputError with every fault."""
    walk = Walk(root, wanted_names(choice))
    paths = [entry.parts for entry in walk if entry.read is not None]
    names = ImageNames(root, paths)
    with prefix_faults(root):
        repeated = [path for path, count in Counter(paths).items() if count > 1]
        faults = walk.faults + [f"{quote('/'.join(path))}: occurs twice; keep one" for path in repeated]
        if faults:
            raise InputError(trim(faults))
        return _read_tables(find_tables(choice, walk), names, choice)


def _read_tables(files: list[TableFile], names: ImageNames, choice: TableChoice) -> Listing:
    listing = Listing(" and ".join(file.name for file in files))
    faults: list[str] = []
    for file in files:
        try:
            with prefix_faults(file.name):
                _add_table(listing, file, names, choice)
        except InputError as error:
            faults += error.faults
    labels = Counter(image.label for image in listing.images.values())
    faults = faults or [f"{listing.name}: {fault}" for fault in find_label_faults(labels)] + _find_part_faults(listing)
    if faults:
        raise InputError(faults)
    unlisted = [quote("/".join(path)) for path in sorted(names.paths - listing.images.keys())]
    listing.warnings += _summarize(f"{listing.name}: {{}} without a row, not used", "image", unlisted)
    listing.warnings += [f"{listing.name}: {warning}" for warning in find_label_warnings(labels)]
    return listing


def _add_table(listing: Listing, file: TableFile, names: ImageNames, choice: TableChoice) -> None:
    table = read_table(file.name, file.content)
    if choice.table is None:
        choice = replace(choice, found=unquote(file.name).rpartition("/")[2])
    columns = choice.choose_columns(table)
    reader = RowReader(file, columns, names, choice)
    for row in table.rows:
        reader.read(row)
    if reader.faults:
        raise InputError(reader.faults)
    listing.images |= reader.images
    file_column, label, *split = [table.columns[at] for at in columns if at is not None]
    listing.by_split = listing.by_split or bool(split)
    parts = f", parts from {split[0]!a}" if split else ""
    listing.notes.append(
        f"{file.name}: {pluralize(len(table.rows), 'row')}; file names from column {file_column!a}, "
        f"classes from {label!a}{parts}"
    )
    listing.warnings += _summarize(f"{file.name}: {{}} repeated, used once", "row", reader.repeated)
    listing.warnings += _summarize(
        f"{file.name}: {{}} in another part than their folder, as the split column says", "image", reader.moved
    )


def _find_part_faults(listing: Listing) -> list[str]:
    """Return the fault of images outside the folders of parts, where others are inside."""
    parts = {image.part for image in listing.images.values()}
    if "" not in parts or len(parts) == 1:
        return []
    outside = sorted(quote("/".join(path)) for path, image in listing.images.items() if not image.part)
    folders = ", ".join(f"{part}/" for part in sorted(parts - {""}))
    return [
        f"{listing.name}: lists {pluralize(len(outside), 'image')} outside {folders}, such as {outside[0]}; move all "
        "listed images into these folders, or add a column split with train, validation or test"
    ]


def _summarize(sentence: str, what: str, names: Collection[str]) -> Iterator[str]:
    """Yield a sentence with the number of things for {}, and their first names; nothing if there are none."""
    if names:
        yield f"{sentence.format(pluralize(len(names), what))}: {', '.join(trim(list(names), _SHOWN))}"
