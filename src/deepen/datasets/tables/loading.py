"""Load the images that a table lists, with their classes and parts."""

from collections.abc import Collection
from operator import itemgetter
from pathlib import Path

from deepen.core.errors import InputError, quote, trim
from deepen.data.images import ImageSet
from deepen.datasets.image_sets import NO_LABELS, data_name, find_size_faults, select_labelled
from deepen.datasets.parts import PARTS, Part, Parts
from deepen.datasets.staging import Staging
from deepen.datasets.tables.choice import TableChoice
from deepen.datasets.tables.classes import sort_classes
from deepen.datasets.tables.files import wanted_names
from deepen.datasets.tables.listing import Listing, read_listing
from deepen.datasets.walk import PathParts, Walk
from deepen.decoding.workers import ImageSpec


def load_listed(root: Path, size: int | None, temp_dir: Path | None, choice: TableChoice) -> Parts:
    """Load the parts that a table lists; images that it does not list are not read. Raises InputError.

    Without a column or folder for the parts, all images are for training. Images of a class are sorted by path.
    """
    listing = read_listing(root, choice)
    if faults := find_class_faults(listing):
        raise InputError([f"{root}: {listing.name}: {fault}" for fault in trim(faults)])
    spec, walk = ImageSpec(None if size is None else (size, size)), Walk(root, wanted_names(choice))
    with Staging(spec, temp_dir) as staging:
        files, rows = stage_listed(walk, listing.images.keys(), staging)
        faults = [] if walk.faults or staging.faults else find_size_faults(staging.sizes, choice.entry or "folder")
        raise_faults(root, walk, staging, faults)
        images = ImageSet(
            staging.images(), NO_LABELS, _list_classes(listing, "train"), files=files, name=data_name(root)
        )
    parts = {part: _select_part(listing, part, images, rows) for part in PARTS}
    parts = {part: selected for part, selected in parts.items() if len(selected)}
    origins = {part: listing.describe_origin(part) for part in parts}
    missing = [note for part in parts for note in _note_missing_classes(listing, part)]
    notes = (*listing.notes, *walk.notes, *missing)
    return Parts(parts, origins, notes, (*listing.warnings, *trim(staging.notes)))


def stage_listed(walk: Walk, wanted: Collection[PathParts], staging: Staging) -> tuple[list[str], dict[PathParts, int]]:
    """Read the wanted images of a root; return their names and, by path, their rows."""
    files, rows = list[str](), dict[PathParts, int]()
    for entry in walk:
        if entry.read is not None and entry.parts in wanted:
            files.append(quote("/".join(entry.parts)))
            rows[entry.parts] = staging.add(quote(entry.path), entry.read)
    staging.finish()
    return files, rows


def raise_faults(root: Path, walk: Walk, staging: Staging, more: Collection[str] = ()) -> None:
    """Raise InputError with the faults of files, if there are any."""
    faults = [*walk.faults, *(fault for _, fault in sorted(staging.faults, key=itemgetter(0))), *more]
    if faults:
        raise InputError([f"{root}: {fault}" for fault in trim(faults)])


def _list_classes(listing: Listing, part: Part) -> tuple[str, ...]:
    return sort_classes(image.label for image in listing.images.values() if listing.part_of(image) == part)


def find_class_faults(listing: Listing) -> list[str]:
    """Return the faults of a listing that can't be trained on."""
    train = _list_classes(listing, "train")
    if not train:
        return ["lists no training images; list some, in the split or folder train"]
    if len(train) == 1:
        return [f"has only one class for training, {train[0]!a}; list images of at least two"]
    return [
        f"class {name!a} has {part} images, but none for training; list some, or remove its rows"
        for part in PARTS
        for name in _list_classes(listing, part)
        if name not in train
    ]


def _note_missing_classes(listing: Listing, part: Part) -> list[str]:
    train, found = _list_classes(listing, "train"), {*_list_classes(listing, part)}
    missing = [quote(name) for name in train if name not in found]
    if not missing:
        return []
    return [f"{part} has no images of {len(missing)} of {len(train)} classes: {', '.join(trim(missing, 3))}"]


def _select_part(listing: Listing, part: Part, images: ImageSet, rows: dict[PathParts, int]) -> ImageSet:
    label = {name: at for at, name in enumerate(images.classes)}
    listed = ((label[image.label], path) for path, image in listing.images.items() if listing.part_of(image) == part)
    return select_labelled(images, [(at, rows[path]) for at, path in sorted(listed)])
