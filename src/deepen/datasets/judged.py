"""Load labelled images to evaluate a network on: <class>/*, or a part of a data set, such as test/<class>/*."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import itemgetter
from pathlib import Path

from deepen.core.counts import pluralize
from deepen.core.errors import InputError, quote, trim
from deepen.core.notes import print_warnings
from deepen.data.images import ImageSet
from deepen.datasets.folder import NO_LABELS, data_name, select_labelled
from deepen.datasets.layout import Loose, locate
from deepen.datasets.staging import Staging
from deepen.datasets.walk import FoundEntry, PathParts, Walk
from deepen.datasets.wrong_layout import describe_no_images, find_misnamed_part
from deepen.decoding.workers import ImageSpec


@dataclass(frozen=True)
class LabelledImages:
    """Labelled images, the folder they are from (for example test, or None for the whole root), and notes."""

    images: ImageSet
    part: str | None
    notes: Sequence[str]


def load_judged(
    root: Path, classes: Sequence[str], shape: tuple[int, int, int], part: str | None = None
) -> LabelledImages:
    """Load images labelled with these `classes`, resized and centre-cropped to `shape` (channels, height, width).

    `root` holds <class>/*, or parts such as train/<class>/* and test/<class>/*, of which `part` is used, by default
    test. Classes may be missing. Raises InputError with every fault.
    """
    walk, chooser = Walk(root), _PartChooser(classes, part)
    taken: list[tuple[int, PathParts, int]] = []  # label, path, number
    files: list[str] = []
    with Staging(ImageSpec(shape[1:], shape[0])) as staging:
        for entry in walk:
            label = None if entry.read is None else chooser.find_label(entry)
            if entry.read is not None and label is not None:
                files.append(quote("/".join(entry.parts)))
                taken.append((label, entry.parts, staging.add(quote(entry.path), entry.read)))
        staging.finish()
        print_warnings(staging.notes)
        faults = walk.faults + [fault for _, fault in sorted(staging.faults, key=itemgetter(0))]
        faults += [] if walk.faults else chooser.find_faults(walk) + _hidden_faults(walk, classes)
        taken.sort(key=itemgetter(0, 1))  # archives are not sorted
        faults += [
            f"{quote('/'.join(one))}: occurs twice; keep one"
            for (_, one, _), (_, other, _) in pairwise(taken)
            if one == other
        ]
        if faults:
            raise InputError([f"{root}: {fault}" for fault in trim(faults)])
        images = ImageSet(staging.images(), NO_LABELS, tuple(classes), files=files, name=data_name(root))
    judged = select_labelled(images, [(label, number) for label, _, number in taken])
    return LabelledImages(judged, chooser.part, walk.notes)


def _hidden_faults(walk: Walk, classes: Sequence[str]) -> list[str]:
    return [
        f"{quote('/'.join(folder))}/: is named like a class, but names that start with a dot are ignored; "
        "rename the folder and the class"
        for folder in sorted(walk.hidden_folders)
        if folder[-1] in classes
    ]


@dataclass
class _PartChooser:
    """Chooses the images to use: of the requested part, else of test/ or, without parts, all."""

    classes: Sequence[str]
    requested: str | None
    parts: set[str] = field(default_factory=set)
    _outside: list[str] = field(default_factory=list)
    _meant: dict[str, str] = field(default_factory=dict)  # folders with similar names, such as Training, by part
    _unknown: dict[PathParts, Loose] = field(default_factory=dict)  # images by their folder
    _nested: dict[PathParts, Loose] = field(default_factory=dict)

    def find_label(self, entry: FoundEntry) -> int | None:
        """Return the label of an image, None if it is not used."""
        folders = entry.parts[:-1]
        place = locate(folders, len(folders))
        if place and not {*place.below[:1]} & {*self.classes} and {*place.parent, place.part} & {*self.classes}:
            place = None  # a class named like a part, or a folder with such a name inside a class
        if place is None:
            self._outside.append(quote(entry.path))
            if (meant := find_misnamed_part(name for name in folders if name not in self.classes)) is not None:
                self._meant[meant[1]] = meant[0]
        else:
            self.parts.add(place.part)
            folders = place.below[:1]
        if (place.part != (self.requested or "test")) if place else self.requested:
            return None
        named = {name for name in folders if name in self.classes}
        if len(named) == 1:
            return self.classes.index(named.pop())
        faulty = self._nested if named else self._unknown
        faulty.setdefault(entry.parts[:-1], Loose(quote(entry.path))).count += 1
        return None

    @property
    def part(self) -> str | None:
        """The part that is used, None for the whole root."""
        return self.requested or ("test" if "test" in self.parts else None)

    def find_faults(self, walk: Walk) -> list[str]:
        """Return the faults of the folder layout."""
        has = " and ".join(f"{name}/" for name in sorted(self.parts))
        if not self.parts and not self._outside:
            return [describe_no_images("<class>/ or test/<class>/", walk)]
        if self.requested and self.requested not in self.parts:
            return [
                f"has no images in {self.requested}/"
                + (f", only in {has}; choose another --part" if has else "; omit --part")
            ]
        if self.parts and self.part is None:
            other = max(self.parts)  # val/ rather than train/, on which it was trained
            named = f"; rename {quote(self._meant['test'])} to test" if "test" in self._meant else ""
            return [
                f"has {has} but no test/, the default part{named}; put images that the network was not trained on "
                f"into test/<class>/, or add --part {other} to use those of {other}/"
            ]
        if len(self._meant) > 1:
            names = sorted(map(quote, self._meant.values()))
            return [f"has {' and '.join(names)}, which resemble train and test; evaluate one of them, or rename them"]
        if self.parts and self._outside and not self.requested:
            return [f"has images in {has} and elsewhere, such as {self._outside[0]}; choose the part: --part test"]
        classes = ", ".join(trim(list(map(quote, self.classes))))
        return [
            *_summarize(self._nested, "inside folders of two classes; move the class folders into test/"),
            *_summarize(
                self._unknown,
                f"not in a folder of the network's classes ({classes}); move or remove it, or rename its folder",
            ),
        ]


def _summarize(faulty: dict[PathParts, Loose], fault: str) -> list[str]:
    """Return one fault for each folder."""
    counts = [(loose.example, loose.count - 1) for loose in faulty.values()]
    return [
        example + f" and {pluralize(more, 'more image')} of its folder" * bool(more) + f": {fault}"
        for example, more in counts
    ]
