"""How images lie below a root: train/<class>/*, and val/ and test/ beside it, if need be in a folder around them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from deepen.core.errors import plain
from deepen.datasets.parts import Part
from deepen.datasets.walk import Found, PathParts

FOLDERS: dict[str, Part] = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
Classes = dict[str, dict[str, int]]  # class name -> path below the class -> number of the image


class Place(NamedTuple):
    """Where an image or folder lies: the folder around the parts, the name of the part, and the path below that."""

    top: PathParts
    part: str
    below: PathParts


def place_of(parts: PathParts, folders: int) -> Place | None:
    """The place of a path, of which so many parts are folders; None where no folder is named as a part."""
    for at, name in enumerate(parts[:folders]):
        if name in FOLDERS:
            return Place(parts[:at], name, parts[at + 1 :])
    return None


@dataclass
class Loose:
    """Images of one folder that lie in no class: how many, and one of them."""

    example: str
    count: int = 0


@dataclass
class Layout:
    """What was found in a root: the numbers of images by folder around the parts, part, class and path.

    `loose` has what lies elsewhere, by its folder; `twice` the paths that occur twice.
    """

    tops: dict[PathParts, dict[str, Classes]] = field(default_factory=dict)
    loose: dict[PathParts, Loose] = field(default_factory=dict)
    folders: set[PathParts] = field(default_factory=set)
    twice: list[str] = field(default_factory=list)

    def add_folder(self, found: Found) -> None:
        """Take note of a folder, which may be a part or a class without images."""
        self.folders.add(found.parts)
        place = place_of(found.parts, len(found.parts))
        if place and len(place.below) <= 1:
            classes = self.tops.setdefault(place.top, {}).setdefault(place.part, {})
            for name in place.below:
                classes.setdefault(name, {})

    def add_image(self, found: Found, number: int) -> bool:
        """Take note of an image; False where it lies in no class, or was found before."""
        place = place_of(found.parts, len(found.parts) - 1)
        if place is None or len(place.below) < 2:
            self.loose.setdefault(found.parts[:-1], Loose(plain(found.path))).count += 1
            return False
        name, *below = place.below
        images = self.tops.setdefault(place.top, {}).setdefault(place.part, {}).setdefault(name, {})
        if "/".join(below) in images:
            self.twice.append(plain(found.path))
            return False
        images["/".join(below)] = number
        return True

    @property
    def full_tops(self) -> list[PathParts]:
        """The folders around parts that have images."""
        return sorted(
            top
            for top, parts in self.tops.items()
            if any(images for part in parts.values() for images in part.values())
        )

    @property
    def parts(self) -> dict[str, Classes]:
        """The parts, by their folders' names, of the one folder around them."""
        tops = self.full_tops
        return self.tops[tops[0]] if tops else {}

    def folders_with_images(self) -> set[PathParts]:
        """The folders that have images in them, and of each class the folder."""
        classes = {
            (*top, part, name)
            for top, parts in self.tops.items()
            for part, found in parts.items()
            for name, images in found.items()
            if images
        }
        return classes | self.loose.keys()

    def named(self, part: Part) -> Iterator[str]:
        """The names of the folders that are this part."""
        return (name for name in self.parts if FOLDERS[name] == part)

    def under(self, part: str | None) -> dict[PathParts, Loose]:
        """The folders of loose images in the part of this name, or, with None, in no part."""
        places = ((folder, place_of(folder, len(folder))) for folder in self.loose)
        return {folder: self.loose[folder] for folder, place in places if (place.part if place else None) == part}
