"""Images to judge a network by: <class>/*, or a part of a data set, as test/<class>/*."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import itemgetter
from pathlib import Path

from deepen.core.errors import InputError, plain, some
from deepen.core.notes import tell
from deepen.data.images import ImageSet
from deepen.datasets.folder import NO_LABELS, chosen, data_name
from deepen.datasets.layout import Loose, place_of
from deepen.datasets.staging import Staging
from deepen.datasets.walk import Found, PathParts, Walk
from deepen.datasets.wrong_layout import meant_part, no_image
from deepen.decoding.workers import ImageSpec


@dataclass(frozen=True)
class Judged:
    """Images to judge by; the folder, as test, that they are from, None where it is all of the root; and notes."""

    images: ImageSet
    part: str | None
    notes: Sequence[str]


def load_judged(root: Path, classes: Sequence[str], shape: tuple[int, int, int], part: str | None = None) -> Judged:
    """Images to judge a network of these `classes` by, resized and centre-cropped to `shape` (channels, height, width).

    `root` holds <class>/*, or parts, as train/<class>/* and test/<class>/*, of which `part` is taken, or else test. It
    need not have all classes. Raises InputError with every fault.
    """
    walk, choice = Walk(root), _Choice(classes, part)
    taken: list[tuple[int, PathParts, int]] = []  # label, path, number
    files: list[str] = []
    with Staging(ImageSpec(shape[1:], shape[0])) as staging:
        for found in walk:
            label = None if found.read is None else choice.label(found)
            if found.read is not None and label is not None:
                files.append(plain("/".join(found.parts)))
                taken.append((label, found.parts, staging.add(plain(found.path), found.read)))
        staging.finish()
        tell(staging.notes)
        faults = walk.faults + [fault for _, fault in sorted(staging.faults, key=itemgetter(0))]
        faults += [] if walk.faults else choice.faults(walk) + _hidden_faults(walk, classes)
        taken.sort(key=itemgetter(0, 1))  # an archive has them in any order
        faults += [
            f"{plain('/'.join(one))}: occurs twice; keep one"
            for (_, one, _), (_, other, _) in pairwise(taken)
            if one == other
        ]
        if faults:
            raise InputError([f"{root}: {fault}" for fault in some(faults)])
        images = ImageSet(staging.images(), NO_LABELS, tuple(classes), files=files, name=data_name(root))
    judged = chosen(images, [(label, number) for label, _, number in taken])
    return Judged(judged, choice.part, walk.notes)


def _hidden_faults(walk: Walk, classes: Sequence[str]) -> list[str]:
    return [
        f"{plain('/'.join(folder))}/: is named as a class, but names that start with a dot are skipped; rename both"
        for folder in sorted(walk.hidden_folders)
        if folder[-1] in classes
    ]


@dataclass
class _Choice:
    """Chooses the images that count: of the part that is asked for, else of test/ or, without parts, of all."""

    classes: Sequence[str]
    asked: str | None
    parts: set[str] = field(default_factory=set)
    _outside: list[str] = field(default_factory=list)
    _meant: dict[str, str] = field(default_factory=dict)  # folders named like parts, as Training, by part
    _unknown: dict[PathParts, Loose] = field(default_factory=dict)  # images by their folder
    _nested: dict[PathParts, Loose] = field(default_factory=dict)

    def label(self, found: Found) -> int | None:
        """The label of an image, None where it doesn't count."""
        folders = found.parts[:-1]
        place = place_of(folders, len(folders))
        if place and not {*place.below[:1]} & {*self.classes} and {*place.top, place.part} & {*self.classes}:
            place = None  # a class that is named as a part, or a folder in a class that is
        if place is None:
            self._outside.append(plain(found.path))
            if (meant := meant_part(name for name in folders if name not in self.classes)) is not None:
                self._meant[meant[1]] = meant[0]
        else:
            self.parts.add(place.part)
            folders = place.below[:1]
        if (place.part != (self.asked or "test")) if place else self.asked:
            return None
        named = {name for name in folders if name in self.classes}
        if len(named) == 1:
            return self.classes.index(named.pop())
        faulty = self._nested if named else self._unknown
        faulty.setdefault(found.parts[:-1], Loose(plain(found.path))).count += 1
        return None

    @property
    def part(self) -> str | None:
        """The part that is taken, None where it is all."""
        return self.asked or ("test" if "test" in self.parts else None)

    def faults(self, walk: Walk) -> list[str]:
        """What is wrong with where the images lie."""
        has = " and ".join(f"{name}/" for name in sorted(self.parts))
        if not self.parts and not self._outside:
            return [no_image("<class>/ or test/<class>/", walk)]
        if self.asked and self.asked not in self.parts:
            return [
                f"has no image in {self.asked}/"
                + (f", but in {has}; name another --part" if has else "; leave --part out")
            ]
        if self.parts and self.part is None:
            other = max(self.parts)  # val/ rather than train/, on which it was trained
            named = f"; rename {plain(self._meant['test'])} to test" if "test" in self._meant else ""
            return [
                f"has {has} but no test/, whose images count{named}; put images that the network was not trained on "
                f"into test/<class>/, or add --part {other} to take those of {other}/"
            ]
        if len(self._meant) > 1:
            names = sorted(map(plain, self._meant.values()))
            return [f"has {' and '.join(names)}, named like parts; name the one whose images count, or rename them"]
        if self.parts and self._outside and not self.asked:
            return [f"has images in {has} and others, such as {self._outside[0]}; name the part: --part test"]
        classes = ", ".join(some(list(map(plain, self.classes))))
        return _told(self._nested, "lies in folders of two classes; put the folders that count into test/") + _told(
            self._unknown, f"its folder is named as none of the network's classes ({classes}); rename or remove it"
        )


def _told(faulty: dict[PathParts, Loose], fault: str) -> list[str]:
    """A sentence a folder."""
    return [
        f"{loose.example}{f' and {loose.count - 1:,} more there' * (loose.count > 1)}: {fault}"
        for loose in faulty.values()
    ]
