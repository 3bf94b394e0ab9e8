"""What is wrong with how images lie below a root, one sentence a fault, with what to type where that is known."""

from deepen.core.errors import plain
from deepen.core.names import class_name_faults
from deepen.datasets.layout import FOLDERS, Layout
from deepen.datasets.walk import Walk
from deepen.datasets.wrong_layout import counted, detection, renaming, table, without_train


def layout_faults(layout: Layout, walk: Walk) -> list[str]:
    """Every fault of a layout that a root was found to have; a root without train/ has one."""
    hidden = _hidden_class_faults(walk)
    if found := detection(layout):
        return [found]
    if not any(layout.parts.get("train", {}).values()) and not layout.under("train"):
        return hidden or [without_train(layout, walk)]
    if len(layout.full_tops) > 1:
        tops = ", ".join(plain("/".join(top) or ".") for top in layout.full_tops)
        return [f"the folders train, val and test lie in more than one folder: {tops}; keep one"]
    faults = [*_loose_faults(layout, walk), *_part_faults(layout), *hidden]
    return faults + [f"{path}: occurs twice; keep one" for path in layout.twice]


def class_faults(layout: Layout) -> list[str]:
    """What is wrong with the classes, in a layout that is right."""
    parts = layout.parts
    train = parts["train"]
    faults = []
    if len(train) == 1:
        name = next(iter(train))
        deeper = f"; if the classes lie in train/{name}/, set root to the folder train" if name in FOLDERS else ""
        faults.append(f"has one class only, {name!a}; there must be two folders or more below train/{deeper}")
    faults += [
        f"{plain(f'{part}/{name}/')}: holds no image; add some or remove it"
        for part, classes in parts.items()
        for name, images in classes.items()
        if not images
    ]
    faults += [
        f"{plain(f'{part}/{name}/')}: train/ has no such class; add {plain(f'train/{name}/')} or remove it"
        for part, classes in parts.items()
        for name in sorted(classes.keys() - train.keys())
    ]
    return faults + class_name_faults(sorted({name for classes in parts.values() for name in classes}))


def _part_faults(layout: Layout) -> list[str]:
    """What is wrong with val/ and test/ as a whole."""
    faults = []
    validation = sorted(layout.named("validation"))
    if len(validation) > 1:
        faults.append(f"has {' and '.join(f'{name}/' for name in validation)}, both for validation; keep one")
    for name, classes in layout.parts.items():
        full = {each for each, images in classes.items() if images}
        if full == {"images"} and "images" not in layout.parts.get("train", {}):
            faults.append(
                f"{name}/: its images lie in {name}/images/, in no class; sort all into {name}/<class>/"
                + ("" if name == "train" else f", or {_away(name)}")
            )
        elif name != "train" and not full and not layout.under(name):
            faults.append(f"{name}/: holds no image; add some, or {_away(name)}")
    return faults


def _loose_faults(layout: Layout, walk: Walk) -> list[str]:
    """A fault for each part that has images in no class folder, and one for all images in no part."""
    faults = [
        f"{part}/: {counted(found)} in no class folder{table(walk, part)}; sort all into {part}/<class>/"
        + (" or remove them" if part == "train" else f", or {_away(part)}")
        for part in FOLDERS
        if (found := layout.under(part))
    ]
    if outside := layout.under(None):
        parts = ", ".join(f"{name}/" for name in layout.parts)
        rename = renaming(walk.root, outside)
        remedy = f"rename: {rename}" if rename else "move them into a class of one of these or remove them"
        faults.append(f"{counted(outside)} outside of {parts}; {remedy}")
    return faults


def _away(part: str) -> str:
    return f"move {part}/ away to have images of train/ held out in its place"


def _hidden_class_faults(walk: Walk) -> list[str]:
    """Classes whose name starts with a dot: they would be skipped, and a class be missing."""
    return [
        f"{plain('/'.join(folder))}/: holds images, but names that start with a dot are skipped; rename it, for "
        f"example to {plain(folder[-1].lstrip('.') or 'dot')}"
        for folder in sorted(walk.hidden_folders)
        if len(folder) > 1 and folder[-2] in FOLDERS
    ]
