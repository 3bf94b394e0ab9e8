"""Check the classes that a table lists, and sort them: by number if all are numbers, else by name."""

import re
from collections.abc import Callable, Collection, Iterable
from decimal import Decimal

from deepen.core.errors import trim
from deepen.core.names import find_class_name_faults

_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?")
_SEPARATORS = ("|", ";", ",")
_SHOWN = 3  # classes in a message


def sort_classes(labels: Iterable[str]) -> tuple[str, ...]:
    """Return the classes in order: 2 before 10 if all are numbers."""
    names = set(labels)
    return tuple(sorted(names, key=Decimal if _are_numbers(names) else str))


def _are_numbers(names: Collection[str]) -> bool:
    return all(map(_NUMBER.fullmatch, names))


def find_label_faults(labels: Iterable[str]) -> list[str]:
    """Return a sentence for each fault of the classes: of their names, equal numbers, several classes in one cell."""
    names = sorted(set(labels))
    faults = find_class_name_faults(names)
    if lists := [name for name in names if name[0] + name[-1] in ("[]", "{}")] or _find_combined(names, _SEPARATORS):
        faults.append(
            f"several classes in one cell, such as {lists[0]!a}, but an image has one class; keep the images of one "
            "class, or write one name for each combination, such as 'cat and dog'"
        )
    if _are_numbers(names):
        faults += [
            f"classes {', '.join(map(repr, same))} are the same number; write it in one way"
            for same in _find_equal(names, Decimal)
        ]
    return faults


def find_label_warnings(labels: Iterable[str]) -> list[str]:
    """Return a sentence on classes whose names differ only in case, and on names that may list several classes."""
    names = sorted(set(labels))
    warnings = [
        f"classes that differ only in upper and lower case or spaces: {', '.join(map(repr, same))}"
        for same in _find_equal(names, lambda name: "".join(name.casefold().split()))
    ]
    if combined := _find_combined(names, (" ",)):
        shown = ", ".join(trim(list(map(repr, combined)), _SHOWN))
        warnings.append(f"classes whose words are classes too: {shown}; an image has only one class")
    return warnings


def _find_equal(names: Iterable[str], key: Callable[[str], object]) -> list[list[str]]:
    """Return the groups of names for which a function returns the same."""
    groups: dict[object, list[str]] = {}
    for name in names:
        groups.setdefault(key(name), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def _find_combined(names: list[str], separators: tuple[str, ...]) -> list[str]:
    """Return the names that a separator splits into parts that all occur in other names, alone or with others."""
    found = []
    for separator in separators:
        parts = {name: {part.strip() for part in name.split(separator)} for name in names}
        counts: dict[str, int] = {}
        for each in parts.values():
            for part in each:
                counts[part] = counts.get(part, 0) + 1
        found += [name for name in names if len(parts[name]) > 1 and all(counts[part] > 1 for part in parts[name])]
    return found
