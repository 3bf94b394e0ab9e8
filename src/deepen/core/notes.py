"""What is told beside a result that stands."""

import sys
from collections.abc import Sequence

from deepen.core.errors import some


def tell(notes: Sequence[str]) -> None:
    """Print the first ten notes to standard error, a warning each, and how many more there are."""
    for note in some(notes):
        print(f"warning: {note}", file=sys.stderr)
