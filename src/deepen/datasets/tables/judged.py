"""Load the images that a table lists, to evaluate a network on."""

from collections.abc import Sequence
from pathlib import Path

from deepen.core.counts import pluralize
from deepen.core.errors import InputError, quote, trim
from deepen.core.notes import print_warnings
from deepen.data.images import ImageSet
from deepen.datasets.image_sets import NO_LABELS, LabelledImages, data_name, select_labelled
from deepen.datasets.layout import FOLDERS
from deepen.datasets.staging import Staging
from deepen.datasets.tables.choice import TableChoice
from deepen.datasets.tables.files import wanted_names
from deepen.datasets.tables.listing import Listing, read_listing
from deepen.datasets.tables.loading import raise_faults, stage_listed
from deepen.datasets.walk import Walk
from deepen.decoding.workers import ImageSpec


def load_judged_listed(
    root: Path, classes: Sequence[str], shape: tuple[int, int, int], part: str | None, choice: TableChoice
) -> LabelledImages:
    """Load images that a table labels with these `classes`: of `part`, by default test, or all if it tells no parts."""
    listing = read_listing(root, choice)
    used = _choose_part(root, listing, part)
    if faults := _find_unknown_classes(listing, classes):
        raise InputError([f"{root}: {listing.name}: {fault}" for fault in faults])
    walk = Walk(root, wanted_names(choice))
    with Staging(ImageSpec(shape[1:], shape[0])) as staging:
        files, rows = stage_listed(walk, listing.images.keys(), staging)
        raise_faults(root, walk, staging)
        images = ImageSet(staging.images(), NO_LABELS, tuple(classes), files=files, name=data_name(root))
    print_warnings([*listing.warnings, *staging.notes])
    labelled = sorted((classes.index(image.label), path) for path, image in listing.images.items())
    judged = select_labelled(images, [(label, rows[path]) for label, path in labelled])
    return LabelledImages(judged, used, [*listing.notes, *walk.notes])


def _choose_part(root: Path, listing: Listing, requested: str | None) -> str | None:
    """Keep the images of one part, and return its name; None if the table tells no parts."""
    parts = sorted({listing.part_of(image) for image in listing.images.values() if image.part})
    if not parts and requested is None:
        return None
    wanted = requested or "test"
    if FOLDERS[wanted] not in parts:
        has = f"lists images of {' and '.join(parts)}, but none of" if parts else "tells no parts, so it has no part"
        remedy = f"choose one with --part {parts[-1]}" if parts else "omit --part"
        raise InputError(f"{root}: {listing.name}: {has} {wanted}; {remedy}")
    listing.images = {
        path: image for path, image in listing.images.items() if listing.part_of(image) == FOLDERS[wanted]
    }
    return wanted


def _find_unknown_classes(listing: Listing, classes: Sequence[str]) -> list[str]:
    unknown: dict[str, list[str]] = {}
    for path, image in listing.images.items():
        if image.label not in classes:
            unknown.setdefault(image.label, []).append(quote("/".join(path)))
    known = ", ".join(trim(list(map(quote, classes))))
    return [
        f"class {label!a} of {pluralize(len(files), 'image')}, such as {files[0]}, is not one of the network's "
        f"({known}); rename it, or remove its rows"
        for label, files in unknown.items()
    ]
