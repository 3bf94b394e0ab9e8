"""Faults of a data set's folder layout, one sentence each, with the command that fixes it if known."""

from deepen.core.errors import quote
from deepen.core.names import find_class_name_faults
from deepen.datasets.layout import FOLDERS, Layout
from deepen.datasets.walk import Walk
from deepen.datasets.wrong_layout import (
    describe_detection_layout,
    describe_images,
    describe_missing_train,
    mention_table,
    suggest_renames,
)


def layout_faults(layout: Layout, walk: Walk, labels: str) -> list[str]:
    """Return every fault of a layout; without train/ there is only one. `labels` is the setting that names a table."""
    hidden = _hidden_class_faults(layout, walk)
    if fault := describe_detection_layout(layout):
        return [fault]
    if not any(layout.parts.get("train", {}).values()) and not layout.loose_in("train"):
        return hidden or [describe_missing_train(layout, walk, labels)]
    if len(layout.parents_with_images) > 1:
        parents = ", ".join(quote("/".join(parent) or ".") for parent in layout.parents_with_images)
        return [f"more than one folder contains train, val or test: {parents}; keep one"]
    faults = [*_loose_faults(layout, walk, labels), *_part_faults(layout), *hidden]
    return faults + [f"{path}: occurs twice; keep one" for path in layout.duplicates]


def class_faults(layout: Layout) -> list[str]:
    """Return the faults of the classes of a valid layout."""
    parts = layout.parts
    train = parts["train"]
    faults = []
    if len(train) == 1:
        name = next(iter(train))
        deeper = f"; if train/{name}/ contains the classes, set root to the folder train" if name in FOLDERS else ""
        faults.append(f"has only one class, {name!a}; train/ must contain at least two class folders{deeper}")
    faults += [
        f"{layout.name_class(part, name)}: contains no images; add some or remove it"
        for part, classes in parts.items()
        for name, images in classes.items()
        if not images
    ]
    faults += [
        f"{layout.name_class(part, name)}: this class is missing in train/; add {quote(f'train/{name}/')} or remove it"
        for part, classes in parts.items()
        for name in sorted(classes.keys() - train.keys())
    ]
    return faults + find_class_name_faults(sorted({name for classes in parts.values() for name in classes}))


def _part_faults(layout: Layout) -> list[str]:
    """Return the faults of val/ and test/ as a whole."""
    faults = []
    validation = sorted(layout.folder_names("validation"))
    if len(validation) > 1:
        faults.append(f"has {' and '.join(f'{name}/' for name in validation)}, both for validation; keep one")
    for name, classes in layout.parts.items():
        full = {each for each, images in classes.items() if images}
        if full == {"images"} and "images" not in layout.parts.get("train", {}):
            faults.append(
                f"{name}/: its images are in {name}/images/, not in class folders; move them into {name}/<class>/"
                + ("" if name == "train" else f", or {_suggest_holding_out(name)}")
            )
        elif name != "train" and not full and not layout.loose_in(name):
            faults.append(f"{name}/: contains no images; add some, or {_suggest_holding_out(name)}")
    return faults


def _loose_faults(layout: Layout, walk: Walk, labels: str) -> list[str]:
    """Return a fault for each part with images outside class folders, and one for images outside parts."""
    faults = [
        f"{part}/: {describe_images(loose)} in no class folder{mention_table(walk, labels, part)}; "
        f"move them into {part}/<class>/"
        + (" or remove them" if part == "train" else f", or {_suggest_holding_out(part)}")
        for part in FOLDERS
        if (loose := layout.loose_in(part))
    ]
    if outside := layout.loose_in(None):
        parts = ", ".join(f"{name}/" for name in layout.parts)
        rename = suggest_renames(walk.root, outside)
        remedy = f"rename: {rename}" if rename else "move them into class folders of these, or remove them"
        faults.append(f"{describe_images(outside)} outside {parts}; {remedy}")
    return faults


def _suggest_holding_out(part: str) -> str:
    return f"move {part}/ elsewhere, and images of train/ are held out instead"


def _hidden_class_faults(layout: Layout, walk: Walk) -> list[str]:
    """Return a fault for each class whose name starts with a dot, since it would be ignored."""
    return [
        f"{quote('/'.join(folder))}/: contains images, but names that start with a dot are ignored; rename it, for "
        f"example to {quote(folder[-1].lstrip('.') or 'dot')}"
        for folder in sorted(walk.hidden_folders)
        if (folder[-2:-1] and folder[-2] in FOLDERS) or folder[:-1] == layout.base
    ]
