"""Add lines to a .gitignore, and keep every other line."""

from collections.abc import Iterable


def add_lines(text: str, lines: Iterable[str]) -> str:
    """Return the text of a .gitignore with those of the lines that it lacks, after its own; comments don't count."""
    own = set(text.splitlines())
    missing = [line for line in lines if line not in own]
    if not any(line and not line.startswith("#") for line in missing):
        return text
    end = "" if not text or text.endswith("\n") else "\n"
    return text + end + "".join(f"{line}\n" for line in missing)
