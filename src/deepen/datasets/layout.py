"""The folder layout of a data set: train/<class>/*, with val/ and test/ beside it, at any depth."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from deepen.core.errors import quote
from deepen.datasets.part_names import PART_ALIASES as PART_ALIASES
from deepen.datasets.parts import Part
from deepen.datasets.walk import FoundEntry, PathParts

FOLDERS: dict[str, Part] = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
Classes = dict[str, dict[str, int]]  # class name -> path below the class -> row of the image


class Place(NamedTuple):
    """The location of an image or folder: the folder around the parts, the part, and the path below it."""

    parent: PathParts
    part: str
    below: PathParts


def locate(parts: PathParts, folders: int) -> Place | None:
    """Return the place of a path whose first `folders` elements are folders; None if none is named like a part."""
    for at, name in enumerate(parts[:folders]):
        if name in FOLDERS:
            return Place(parts[:at], name, parts[at + 1 :])
    return None


@dataclass
class Loose:
    """Images of one folder that are in no class: their number, and one example."""

    example: str
    count: int = 0


@dataclass
class Layout:
    """The layout of a root: rows of images by parent folder, part, class and path.

    `loose` has images elsewhere, by folder; `duplicates` has paths that occur more than once. If the class folders are
    in no train/, `base` is the folder that contains them, and all images are for training.
    """

    base: PathParts | None = None
    parents: dict[PathParts, dict[str, Classes]] = field(default_factory=dict)
    loose: dict[PathParts, Loose] = field(default_factory=dict)
    folders: set[PathParts] = field(default_factory=set)
    duplicates: list[str] = field(default_factory=list)

    def add_folder(self, folder: FoundEntry) -> None:
        """Add a folder, which may be a part or a class without images."""
        self.folders.add(folder.parts)
        place = self._locate(folder.parts, len(folder.parts))
        if place and len(place.below) <= 1:
            classes = self.parents.setdefault(place.parent, {}).setdefault(place.part, {})
            for name in place.below:
                classes.setdefault(name, {})

    def add_image(self, image: FoundEntry, row: int) -> bool:
        """Add an image; return False if it is in no class, or a duplicate."""
        place = self._locate(image.parts, len(image.parts) - 1)
        if place is None or len(place.below) < 2:
            self.loose.setdefault(image.parts[:-1], Loose(quote(image.path))).count += 1
            return False
        name, *below = place.below
        images = self.parents.setdefault(place.parent, {}).setdefault(place.part, {}).setdefault(name, {})
        if "/".join(below) in images:
            self.duplicates.append(quote(image.path))
            return False
        images["/".join(below)] = row
        return True

    def _locate(self, parts: PathParts, folders: int) -> Place | None:
        if self.base is None:
            return locate(parts, folders)
        at = len(self.base)
        return Place(self.base, "train", parts[at:]) if folders >= at and parts[:at] == self.base else None

    def name_class(self, part: str, name: str) -> str:
        """Return the folder of a class, for messages."""
        folders = (part, name) if self.base is None else (*self.base, name)
        return quote(f"{'/'.join(folders)}/")

    def describe_origin(self, part: str) -> str:
        """Return for example `from train/`."""
        return f"from {part}/" if self.base is None else "from the class folders"

    @property
    def parents_with_images(self) -> list[PathParts]:
        """The folders around parts with images, sorted."""
        return sorted(
            parent
            for parent, parts in self.parents.items()
            if any(images for part in parts.values() for images in part.values())
        )

    @property
    def parts(self) -> dict[str, Classes]:
        """The parts by folder name, in the first folder around parts with images."""
        parents = self.parents_with_images
        return self.parents[parents[0]] if parents else {}

    def folders_with_images(self) -> set[PathParts]:
        """Return all folders with images; for images in classes, the class folder."""
        class_folders = {
            (*parent, part, name)
            for parent, parts in self.parents.items()
            for part, classes in parts.items()
            for name, images in classes.items()
            if images
        }
        return class_folders | self.loose.keys()

    def folder_names(self, part: Part) -> Iterator[str]:
        """Return the names of the folders of this part."""
        return (name for name in self.parts if FOLDERS[name] == part)

    def loose_in(self, part: str | None) -> dict[PathParts, Loose]:
        """Return the folders of loose images in the part of this name, or, for None, outside all parts."""
        places = ((folder, locate(folder, len(folder))) for folder in self.loose)
        return {folder: self.loose[folder] for folder, place in places if (place.part if place else None) == part}
