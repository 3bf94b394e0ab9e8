"""The known word that a misspelt one is nearest to."""

import os
from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from deepen.errors import plain

_MOST_NAMES = 10_000  # of a folder that are looked at


def nearest(word: str, known: Iterable[object], likeness: float = 0.6) -> str | None:
    """The known word that is most like this one, whatever the case of its letters; None where none is like it.

    `likeness`, 0 to 1, is what it must have at least: twice the letters that the two share over those of both.
    """
    by_lower: dict[str, str] = {}
    for each in map(str, known):  # a key of YAML may be a number
        by_lower.setdefault(each.lower(), each)
    found = get_close_matches(word[:100].lower(), by_lower, n=1, cutoff=likeness)
    return by_lower[found[0]] if found else None


def suggestion(word: str, known: Iterable[object]) -> str:
    """What to add to the error for an unknown word: `; did you mean X?`, or nothing where no known word is like it."""
    found = nearest(word, known)
    return f"; did you mean {found}?" if found else ""


def path_suggestion(path: Path) -> str:
    """The same for a path at which nothing is, of what lies in its folder."""
    try:
        with os.scandir(path.parent) as entries:
            by_stem = {Path(entry.name).stem: entry.name for entry in islice(entries, _MOST_NAMES)}
    except OSError:
        return ""
    found = nearest(path.stem, by_stem)  # equal endings are no likeness
    return f"; did you mean {plain(path.parent / by_stem[found])}?" if found else ""
