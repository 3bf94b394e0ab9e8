"""Suggestions for misspelt names: the nearest known name."""

from collections.abc import Iterable
from difflib import get_close_matches

_SHORT = 3  # letters of a word, of which two of three are no likeness: IV is not I


def find_nearest(word: str, known: Iterable[object], likeness: float | None = None) -> str | None:
    """Return the known word most similar to this one, ignoring case; None if none is similar.

    `likeness` is the smallest similarity, 0 to 1: twice the number of shared letters over the letters of both words.
    """
    likeness = (0.75 if len(word) <= _SHORT else 0.6) if likeness is None else likeness
    by_lower: dict[str, str] = {}
    for each in map(str, known):  # a key of YAML may be a number
        by_lower.setdefault(each.lower(), each)
    matches = get_close_matches(word[:100].lower(), by_lower, n=1, cutoff=likeness)
    return by_lower[matches[0]] if matches else None


def suggest_name(word: str, known: Iterable[object]) -> str:
    """Return `; did you mean X?` for the error about an unknown word; empty if no known word is similar."""
    match = find_nearest(word, known)
    return f"; did you mean {match}?" if match else ""
