"""File names by row, stored as one block of text and decoded lazily: millions load at once."""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import overload

import numpy as np
from numpy.typing import NDArray

from deepen.core.errors import quote

_END = "\n"  # of each name; names are escaped, so none contains it


def encode_names(names: Iterable[str]) -> bytearray:
    """Encode names as UTF-8 text, one per line; unprintable characters are escaped."""
    block = bytearray()
    for name in names:
        block += f"{name if name.isprintable() else quote(name)}{_END}".encode()
    return block


class FileNames(Sequence[str]):
    """The names in a block of `encode_names`, uint8 (bytes,), which may be memory-mapped.

    Before the first name is read, `check` is called with the block and its number of lines; it raises if they are
    invalid.
    """

    def __init__(self, block: NDArray[np.uint8], count: int, check: Callable[[NDArray[np.uint8], int], None]) -> None:
        self._block, self._count, self._check = block, count, check

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> tuple[str, ...]: ...
    def __getitem__(self, row: int | slice) -> str | tuple[str, ...]:
        if isinstance(row, slice):
            return tuple(self[each] for each in range(*row.indices(self._count)))
        at = range(self._count)[row]  # raises IndexError, and counts negative rows from the end
        start = self._ends[at - 1] + 1 if at else 0
        return self._block[start : self._ends[at]].tobytes().decode()

    @cached_property
    def _ends(self) -> NDArray[np.intp]:
        ends = np.flatnonzero(self._block == ord(_END))
        self._check(self._block, len(ends))
        return ends
