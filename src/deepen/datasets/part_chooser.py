"""Choose the labelled images to evaluate a network on: those of one part, or all."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from deepen.core.counts import pluralize
from deepen.core.errors import quote, trim
from deepen.datasets.layout import Loose, locate
from deepen.datasets.walk import FoundEntry, PathParts, Walk
from deepen.datasets.wrong_layout import describe_no_images, find_misnamed_part, mention_table


@dataclass
class PartChooser:
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
                f"not in a folder of the network's classes ({classes}); move or remove it, or rename its folder"
                + mention_table(walk, "--labels"),
            ),
        ]


def _summarize(faulty: dict[PathParts, Loose], fault: str) -> list[str]:
    """Return one fault for each folder."""
    counts = [(loose.example, loose.count - 1) for loose in faulty.values()]
    return [
        example + f" and {pluralize(more, 'more image')} of its folder" * bool(more) + f": {fault}"
        for example, more in counts
    ]
