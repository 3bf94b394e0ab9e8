"""Suggestions for a path that does not exist: a similar name, or the content of its folder."""

import os
import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from deepen.core.errors import InputError, quote
from deepen.core.nearest import find_nearest

_MOST_NAMES = 10_000  # read from a folder
_LISTED = 3
_LIKENESS = 0.8  # photos and phtos have 0.91
_LOOSE = 0.65  # photos and fotos have 0.73, cls and clz 0.67


def require_path(path: Path, kind: str = "file") -> None:
    """Raise InputError, with a suggestion, if nothing is at a path that must be of this kind."""
    if not os.path.lexists(path):
        raise InputError(f"{quote(path)}: no such {kind}{suggest_path(path)}")


def suggest_path(path: Path) -> str:
    """Return what to append to an error about a missing path, such as `; did you mean photos/a.png?`."""
    folder = next(each for each in path.parents if each.is_dir() or each == each.parent)
    names = _list_names(folder)
    wanted = path.relative_to(folder).parts[0]
    suggestion = _format_suggestion(folder, _find_similar(wanted, names))
    if folder != path.parent:
        return f"; {quote(folder / wanted)} does not exist" + suggestion
    return suggestion or f"; {_describe_content(folder, names)}"


def find_similar_paths(path: Path) -> Iterator[Path]:
    """Yield what exists under names similar to that of a missing path, or of the folder around it; nearest first.

    Numbers must be equal: v2 is not v1.
    """
    folder = next(each for each in path.parents if each.is_dir() or each == each.parent)
    wanted, *below = path.relative_to(folder).parts
    for similar in _list_similar(wanted, _list_names(folder)):
        yield found if (found := folder.joinpath(similar, *below)).exists() else folder / similar


def _list_similar(wanted: str, names: Sequence[str]) -> list[str]:
    """Return names with equal stems, except for case, then those with similar ones; nearest first."""
    stems = {name: Path(name).stem.lower() for name in names if _find_numbers(name) == _find_numbers(wanted)}
    near = get_close_matches(Path(wanted).stem.lower(), set(stems.values()), len(stems) or 1, _LOOSE)
    return [name for stem in near for name in stems if stems[name] == stem]


def _list_names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in islice(entries, _MOST_NAMES) if not entry.name.startswith("."))
    except OSError:
        return []


def _find_similar(wanted: str, names: Sequence[str]) -> str | None:
    """Return the name that differs only in case or extension, else the nearest with the same numbers."""
    stem = Path(wanted).stem.lower()
    for is_same in (lambda name: name.lower() == wanted.lower(), lambda name: Path(name).stem.lower() == stem):
        if same := next(filter(is_same, names), None):
            return same
    by_stem = {Path(name).stem: name for name in names if _find_numbers(name) == _find_numbers(wanted)}
    nearest = find_nearest(stem, by_stem, _LIKENESS)
    return by_stem[nearest] if nearest else None


def _find_numbers(name: str) -> list[str]:
    return re.findall("[0-9]+", Path(name).stem)


def _format_suggestion(folder: Path, similar: str | None) -> str:
    return f"; did you mean {quote(folder / similar)}?" if similar else ""


def _describe_content(folder: Path, names: Sequence[str]) -> str:
    where = "this folder" if folder == Path() else quote(folder)
    if not names:
        return f"{where} is empty"
    listed = ", ".join(map(quote, names[:_LISTED]))
    more = len(names) - _LISTED
    return f"{where} contains {listed}" + (f" and {more:,} more" if more > 0 else "")
