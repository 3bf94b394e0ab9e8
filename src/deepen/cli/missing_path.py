"""What a command says of a path at which nothing is: the one that may be meant, or what its folder holds."""

import os
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from deepen.core.errors import plain
from deepen.core.nearest import find_nearest

_MOST_NAMES = 10_000  # of a folder that are looked at
_LISTED = 3
_LIKENESS = 0.8  # photos and phtos have 0.91


def suggest_path(path: Path) -> str:
    """What to add to the error for a path at which nothing is, such as `; did you mean photos/a.png?`."""
    folder = next(each for each in path.parents if each.is_dir() or each == each.parent)
    names = _names(folder)
    wanted = path.relative_to(folder).parts[0]
    if folder != path.parent:
        meant = _meant(wanted, names)
        return f"; {plain(folder / wanted)} does not exist" + _question(folder, meant)
    meant = _meant(wanted, names)
    return _question(folder, meant) or f"; {_holds(folder, names)}"


def _names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in islice(entries, _MOST_NAMES) if not entry.name.startswith("."))
    except OSError:
        return []


def _meant(wanted: str, names: Sequence[str]) -> str | None:
    """The name that differs in case or ending alone, or else by a letter or two and not in a number."""
    stem = Path(wanted).stem.lower()
    for alike in (lambda name: name.lower() == wanted.lower(), lambda name: Path(name).stem.lower() == stem):
        if found := next(filter(alike, names), None):
            return found
    by_stem = {Path(name).stem: name for name in names if _numbers(name) == _numbers(wanted)}
    found = find_nearest(stem, by_stem, _LIKENESS)
    return by_stem[found] if found else None


def _numbers(name: str) -> list[str]:
    return re.findall("[0-9]+", Path(name).stem)


def _question(folder: Path, meant: str | None) -> str:
    return f"; did you mean {plain(folder / meant)}?" if meant else ""


def _holds(folder: Path, names: Sequence[str]) -> str:
    where = "this folder" if folder == Path() else plain(folder)
    if not names:
        return f"{where} is empty"
    listed = ", ".join(map(plain, names[:_LISTED]))
    more = len(names) - _LISTED
    return f"{where} holds {listed}" + (f" and {more:,} more" if more > 0 else "")
