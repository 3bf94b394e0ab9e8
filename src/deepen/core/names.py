"""Names of models and classes: which are reserved, which are valid."""

import unicodedata
from collections import Counter
from collections.abc import Sequence

SCRATCH = "scratch"  # the pseudo-model that the first model grows from
MODEL_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}"
RESERVED = (SCRATCH, "final", "init")  # file names beside those of the models


def class_name_faults(names: Sequence[str]) -> list[str]:
    """Names of classes that can't be told apart or break a line, one sentence each: names are for people to read."""
    faults = [f"class name {name[:60]!a} {fault}; rename it" for name in names if (fault := _class_name_fault(name))]
    repeated = {name: count for name, count in Counter(names).items() if count > 1}
    return faults + [
        f"class name {name[:60]!a} is that of {count} classes; rename all but one" for name, count in repeated.items()
    ]


def _class_name_fault(name: str) -> str | None:
    if any(unicodedata.category(c) in _UNFIT or unicodedata.bidirectional(c) in _TURNING for c in name):
        return "has a character that ends a line, turns text around, or can't be written"
    if name != name.strip():
        return "begins or ends with a blank"
    if not name:
        return "is empty"
    return None


_UNFIT = ("Cc", "Cs", "Zl", "Zp")  # control characters, halves of characters, line and paragraph separators
_TURNING = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
