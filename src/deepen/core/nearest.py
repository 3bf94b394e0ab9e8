"""The known word that a misspelt one is nearest to."""

from collections.abc import Iterable
from difflib import get_close_matches

_SHORT = 3  # letters of a word, of which two of three are no likeness: IV is not I


def nearest(word: str, known: Iterable[object], likeness: float | None = None) -> str | None:
    """The known word that is most like this one, whatever the case of its letters; None where none is like it.

    `likeness`, 0 to 1, is what it must have at least: twice the letters that the two share over those of both.
    """
    likeness = (0.75 if len(word) <= _SHORT else 0.6) if likeness is None else likeness
    by_lower: dict[str, str] = {}
    for each in map(str, known):  # a key of YAML may be a number
        by_lower.setdefault(each.lower(), each)
    found = get_close_matches(word[:100].lower(), by_lower, n=1, cutoff=likeness)
    return by_lower[found[0]] if found else None


def suggestion(word: str, known: Iterable[object]) -> str:
    """What to add to the error for an unknown word: `; did you mean X?`, or nothing where no known word is like it."""
    found = nearest(word, known)
    return f"; did you mean {found}?" if found else ""
