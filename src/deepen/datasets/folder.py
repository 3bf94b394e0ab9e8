"""Load images from a folder or archive: of classes in folders, or, by `tables`, of classes in a table."""

from collections.abc import Iterable, Iterator
from operator import itemgetter
from pathlib import Path

from deepen.core.errors import InputError, quote, trim
from deepen.data.images import ImageSet
from deepen.datasets.class_folders import find_class_folders, warn_of_shared_folders
from deepen.datasets.image_sets import NO_LABELS, data_name, find_size_faults, select_labelled
from deepen.datasets.layout import FOLDERS, Classes, Layout
from deepen.datasets.layout_faults import class_faults, layout_faults
from deepen.datasets.parts import Parts
from deepen.datasets.staging import Staging
from deepen.datasets.tables.choice import TableChoice
from deepen.datasets.tables.files import describe_unused, find_table_faults
from deepen.datasets.tables.loading import load_listed
from deepen.datasets.walk import METADATA, Walk
from deepen.decoding.workers import ImageSpec


def load_folder(root: Path, size: int | None, temp_dir: Path | None = None, choice: TableChoice | None = None) -> Parts:
    """Load training images and, if their folders exist, validation and test images.

    With a `size` every image is resized and centre-cropped to size x size pixels; without, all must have the same size.
    If all images are greyscale, they have one channel. Classes and images are sorted by name. The pixels are kept in an
    unnamed file in `temp_dir`. Classes are in the table of `choice`; without one, they are the folders in train/, or
    else are in metadata.csv, or else are the folders themselves. Raises InputError with every fault.
    """
    choice = choice or TableChoice(entry="folder")
    if choice.table is not None:
        return load_listed(root, size, temp_dir, choice)
    return _load(root, size, temp_dir, choice, Layout())


def _load(root: Path, size: int | None, temp_dir: Path | None, choice: TableChoice, layout: Layout) -> Parts:
    walk, names, labels = Walk(root, METADATA), list[str](), choice.name_setting("labels")
    with Staging(ImageSpec(None if size is None else (size, size)), temp_dir) as staging:
        for entry in walk:
            if entry.read is None:
                layout.add_folder(entry)
            elif layout.add_image(entry, len(staging)):
                names.append(quote("/".join(entry.parts)))
                staging.add(quote(entry.path), entry.read)
        staging.finish()
        faults = [] if walk.faults else layout_faults(layout, walk, labels) or class_faults(layout)
        if faults and layout.base is None:
            table_faults = find_table_faults(choice, walk)
            if walk.tables and not table_faults:
                return load_listed(root, size, temp_dir, choice)
            if (base := find_class_folders(layout, walk)) is not None:
                return _load(root, size, temp_dir, choice, Layout(base))
            faults += table_faults
        faults = walk.faults + [fault for _, fault in sorted(staging.faults, key=itemgetter(0))] + faults
        faults += [] if faults else find_size_faults(staging.sizes, choice.entry or "folder")
        if faults:
            raise InputError([f"{root}: {fault}" for fault in trim(faults)])
        classes = tuple(sorted(layout.parts["train"]))
        images = ImageSet(staging.images(), NO_LABELS, classes, files=names, name=data_name(root))
    return Parts(
        {FOLDERS[name]: _select_part(classes_of_part, images) for name, classes_of_part in layout.parts.items()},
        {FOLDERS[name]: layout.describe_origin(name) for name in layout.parts},
        (*walk.notes, *_class_notes(layout)),
        (*warn_of_shared_folders(layout), *describe_unused(choice, walk), *trim(staging.notes)),
    )


def _class_notes(layout: Layout) -> Iterator[str]:
    """Yield notes on classes that a part lacks, and on folders inside a class that are named like other classes."""
    train = layout.parts["train"]
    if layout.base is not None:
        yield f"no train/: the {len(train)} folders of images are the classes: {_list_names(train)}"
    for part, classes in layout.parts.items():
        if missing := sorted(train.keys() - classes.keys()):
            yield f"{part}/ has no images of {len(missing)} of {len(train)} classes: {_list_names(missing)}"
        for name, images in classes.items():
            inside = {folder for file in images for folder in file.split("/")[:-1] if folder in train} - {name}
            if inside:
                folder = layout.name_class(part, name)
                yield f"{folder} has folders named like other classes, counted as {quote(name)}: {_list_names(inside)}"


def _list_names(names: Iterable[str]) -> str:
    return ", ".join(map(quote, trim(sorted(names), 3)))


def _select_part(part: Classes, images: ImageSet) -> ImageSet:
    labels = enumerate(images.classes)
    return select_labelled(
        images, [(label, part[name][file]) for label, name in labels for file in sorted(part.get(name, ()))]
    )
