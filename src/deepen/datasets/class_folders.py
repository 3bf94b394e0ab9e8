"""Recognize class folders that are in no train/: <class>/*."""

from collections import Counter

from deepen.core.errors import quote, trim
from deepen.datasets.layout import PART_ALIASES, Layout
from deepen.datasets.walk import PathParts, Walk
from deepen.datasets.wrong_layout import find_common_folder, find_parent_of_train, resemble_parts

# names of folders whose images have no class: inputs and targets of other tasks
_NOT_CLASSES = frozenset(
    (
        *("image", "images", "img", "imgs", "jpegimages", "photos", "pictures", "raw", "data"),
        *("mask", "masks", "label", "labels", "annotation", "annotations", "segmentation", "gt", "groundtruth"),
        *("ground_truth", "depth", "thumbnails", "unlabeled", "unlabelled"),
    )
)


def find_class_folders(layout: Layout, walk: Walk) -> PathParts | None:
    """Return the folder around at least two class folders; None if images may be arranged in another way."""
    loose = layout.loose_in(None)
    if not loose or layout.parents or find_parent_of_train(walk.root) is not None:
        return None
    base = find_common_folder(loose)
    classes = {folder[len(base)] for folder in loose if len(folder) > len(base)}
    names = {name.lower() for folder in loose for name in folder}
    unclear = (
        names & PART_ALIASES.keys() or {name.lower() for name in classes} & _NOT_CLASSES or resemble_parts(classes)
    )
    return None if base in loose or len(classes) < 2 or unclear else base


def warn_of_shared_folders(layout: Layout) -> list[str]:
    """Return a warning if several class folders without train/ contain the same folders, which may be the classes."""
    if layout.base is None:
        return []
    inside = {
        name: {file.split("/")[0] for file in images if "/" in file} for name, images in layout.parts["train"].items()
    }
    counts = Counter(folder for folders in inside.values() for folder in folders)
    shared = sorted(folder for folder, count in counts.items() if count > 1)
    if len(shared) < 2:
        return []
    names = ", ".join(trim(list(map(quote, shared)), 3))
    return [f"several class folders contain the folders {names}; if these are the classes, move them into train/"]
