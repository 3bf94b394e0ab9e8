"""Warnings on standard error."""

import sys
from collections.abc import Sequence

from deepen.core.errors import trim


def print_warnings(notes: Sequence[str]) -> None:
    """Print the first ten notes to standard error as warnings, and how many more there are."""
    for note in trim(notes):
        print(f"warning: {note}", file=sys.stderr)
