"""Look over a folder of images before anything is read in full: classes, numbers, sizes, grey or colour."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deepen.core.errors import InputError, quote, trim
from deepen.data.split import count_held_out, find_split_faults
from deepen.datasets import TEST_FRACTION
from deepen.datasets.class_folders import find_class_folders
from deepen.datasets.layout import FOLDERS, Layout
from deepen.datasets.layout_faults import class_faults, layout_faults
from deepen.datasets.parts import PARTS, Part
from deepen.datasets.tables.choice import TableChoice
from deepen.datasets.tables.files import wanted_names
from deepen.datasets.tables.listing import read_listing
from deepen.datasets.tables.loading import find_class_faults
from deepen.datasets.walk import METADATA, FoundEntry, Walk
from deepen.decoding.decode import UnreadableImage
from deepen.decoding.measuring import measure_image
from deepen.project.tables import find_table

_ALL, _EVERY = 2000, 50  # so many of the first images are measured, and one in so many of the others
_KEPT = {"test": 2, "validation": 1}  # training images of a class that holding out leaves, as when they are read

Counts = Mapping[str, int]  # images by class


@dataclass
class Survey:
    """The images of a root: number by part and class, and, of those that were measured, sizes (height, width).

    `choice` is the table that lists the classes, without one if they are found without a setting; `notes` are on it.
    """

    parts: Mapping[Part, Counts] = field(default_factory=dict)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    is_grey: bool = True
    choice: TableChoice = field(default_factory=TableChoice)
    notes: tuple[str, ...] = ()

    @property
    def measured(self) -> int:
        """The number of measured images."""
        return self.sizes.total()

    @property
    def images(self) -> int:
        """The number of images."""
        return sum(map(sum, (part.values() for part in self.parts.values())))

    def count_by_class(self) -> dict[str, int]:
        """Return the number of images of each class."""
        return dict(sum(map(Counter, self.parts.values()), Counter[str]()))

    def split(self, val_fraction: float) -> dict[Part, int]:
        """Return the number of images of each part after holding out; raises InputError for too small classes."""
        parts = {name: dict(counts) for name, counts in self.parts.items()}
        for part, fraction in (("test", TEST_FRACTION), ("validation", val_fraction)):
            if part in parts:
                continue
            keep, train = _KEPT[part], parts["train"]
            if faults := find_split_faults(train, part, keep):
                raise InputError(trim(faults))
            parts[part] = {name: count_held_out(count, fraction, keep) for name, count in train.items()}  # type: ignore[index]
            parts["train"] = {name: count - parts[part][name] for name, count in train.items()}  # type: ignore[index]
        return {part: sum(parts[part].values()) for part in PARTS}


def survey_images(root: Path, choice: TableChoice | None = None) -> Survey:
    """Return what a folder or archive of images holds; raises InputError with every fault that training would report.

    The classes are in the table of `choice`; without one, they are told as in training, or by the only table that
    lists the images. Of many images only some are measured.
    """
    choice = choice or TableChoice()
    return _survey(root, Layout(), choice) if choice.table is None else _survey_listed(root, choice)


def _survey(root: Path, layout: Layout, choice: TableChoice) -> Survey:
    walk, survey = Walk(root, METADATA), Survey()
    faults: list[str] = []
    row = 0
    for entry in walk:
        if entry.read is None:
            layout.add_folder(entry)
        elif layout.add_image(entry, row):
            faults += _measure(entry, survey, row)
            row += 1
    faults = walk.faults + faults
    wrong = [] if walk.faults else layout_faults(layout, walk, "--labels") or class_faults(layout)
    if wrong and layout.base is None and not faults:
        if walk.tables:
            return _survey_listed(root, choice)
        if (base := find_class_folders(layout, walk)) is not None:
            return _survey(root, Layout(base), choice)
        if found := find_table(root, walk, wrong):
            return _survey_listed(root, found)
    faults += wrong
    if faults:
        raise InputError([f"{root}: {fault}" for fault in trim(faults)])
    survey.parts = {
        FOLDERS[name]: {each: len(rows) for each, rows in part.items()} for name, part in layout.parts.items()
    }
    return survey


def _survey_listed(root: Path, choice: TableChoice) -> Survey:
    """Look over the images that a table lists."""
    listing = read_listing(root, choice)
    faults = [f"{listing.name}: {fault}" for fault in find_class_faults(listing)]
    survey, walk = Survey(choice=choice), Walk(root, wanted_names(choice))
    listed = (entry for entry in walk if entry.parts in listing.images)
    for row, entry in enumerate(listed):
        faults += _measure(entry, survey, row)
    if faults := walk.faults + faults:
        raise InputError([f"{root}: {fault}" for fault in trim(faults)])
    counts = Counter((listing.part_of(image), image.label) for image in listing.images.values())
    found = {part for part, _ in counts}
    survey.parts = {
        part: {label: count for (where, label), count in counts.items() if where == part}
        for part in PARTS
        if part in found
    }
    unused = [f"not used: {', '.join(trim(list(map(quote, walk.readable)), 3))}"] * bool(walk.readable)
    survey.notes = (*listing.notes, *listing.warnings, *unused)
    return survey


def _measure(entry: FoundEntry, survey: Survey, row: int) -> list[str]:
    """Add the size and colours of an image to a survey, if it is measured; return its fault, if it can't be read."""
    if entry.read is None or not (row < _ALL or row % _EVERY == 0):
        return []
    try:
        form = measure_image(entry.read())
    except InputError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
    except (UnreadableImage, ValueError) as error:
        reason = str(error)
    else:
        survey.sizes[form.height, form.width] += 1
        survey.is_grey = survey.is_grey and form.is_grey
        return []
    return [f"{quote(entry.path)}: can't be read as an image ({reason}); replace or remove it"]
