"""Valid and reserved names of models, classes and files."""

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from deepen.core.errors import InputError, quote

SCRATCH = "scratch"  # the pseudo-model that the first model grows from
MODEL_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}"
RESERVED = (SCRATCH, "final", "init")  # file names beside those of the models
EMPTY = "empty file name; name a file or folder"


def make_path(thing: str, name: str | os.PathLike[str]) -> Path:
    """Return the path of a file name; raises InputError, about `thing`, if it is empty: it would be this folder."""
    if not os.fspath(name):
        raise InputError(f"{thing}: {EMPTY}")
    return Path(name)


def name_folder(folder: Path) -> str:
    """Return the name of a folder for a message."""
    return "this folder" if folder == Path() else quote(folder)


def find_class_name_faults(names: Sequence[str]) -> list[str]:
    """Return the faults of class names, one sentence each: unprintable, empty or duplicate names."""
    faults = [
        f"class name {name[:60]!a} {fault}; rename it" for name in names if (fault := _find_class_name_fault(name))
    ]
    repeated = {name: count for name, count in Counter(names).items() if count > 1}
    return faults + [
        f"duplicate class name {name[:60]!a}: {count} classes have it; rename all but one"
        for name, count in repeated.items()
    ]


def has_control(name: str) -> bool:
    """Return whether a name has a character that breaks or reorders the line that it is written into."""
    return any(unicodedata.category(c) in _UNPRINTABLE or unicodedata.bidirectional(c) in _BIDIRECTIONAL for c in name)


def require_writable_name(thing: str, name: os.PathLike[str]) -> None:
    """Raise InputError, about `thing`, if a path can't be written into a settings file or typed into a shell."""
    if has_control(os.fspath(name)):
        raise InputError(f"{thing}{quote(name)}: {_CONTROL}; choose another name")


def _find_class_name_fault(name: str) -> str | None:
    if has_control(name):
        return _CONTROL
    if name != name.strip():
        return "has leading or trailing whitespace"
    if not name:
        return "is empty"
    return None


_CONTROL = "has a line break, control character, bidirectional control or lone surrogate"
_UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")  # control characters, surrogates, line and paragraph separators
_BIDIRECTIONAL = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
