"""Counts of things, for people."""


def pluralize(count: int, what: str) -> str:
    """Return a number and its noun, in the plural unless it is one: `1 image`, `2,000 test images`, `0 classes`."""
    plural = "" if count == 1 else "es" if what.endswith("s") else "s"
    return f"{count:,} {what}{plural}"
