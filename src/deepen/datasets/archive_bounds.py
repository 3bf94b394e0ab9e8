"""How much an archive may hold, by what it says of itself and by what comes out of it."""

from pathlib import Path

from deepen.core.errors import InputError, plain
from deepen.datasets.files import MOST_FILE_BYTES

MOST_FILES = 20_000_000
MOST_SMALL_FILES = 100_000  # files and folders that any archive may have; more, where it has BYTES_A_FILE for each
BYTES_A_FILE = 64  # of the archive, compressed: fewer than any image takes
MOST_TIMES = 200  # as large as its archive may all that is in it be, or MOST_SMALL_BYTES
MOST_SMALL_BYTES = 1 << 30


class Bounds:
    """Counts what an archive holds, and raises InputError once that is more than an honest one's."""

    def __init__(self, root: Path) -> None:
        size = root.stat().st_size
        self.root, self._files, self._bytes = root, 0, 0
        self._most_files = min(MOST_FILES, max(MOST_SMALL_FILES, size // BYTES_A_FILE))
        self._most_bytes = max(MOST_SMALL_BYTES, MOST_TIMES * size)

    def count(self, size: int) -> None:
        """Take note of a member."""
        self._files, self._bytes = self._files + 1, self._bytes + size
        if self._files > self._most_files:
            raise self._error(f"has more than {self._most_files:,} files and folders, too many for its size")
        self.must_be_bytes(self._bytes)

    def must_be_bytes(self, size: int) -> None:
        """Raise InputError for more bytes than all that is in the archive may have."""
        if size > self._most_bytes:
            raise self._error(f"has more than {self._most_bytes:,} bytes unpacked, {MOST_TIMES} times its size")

    def must_fit(self, name: str, size: int) -> None:
        """Raise InputError for a file that is too large to be read."""
        if size > MOST_FILE_BYTES:
            raise self._error(f"{plain(name)} has {size:,} bytes unpacked, at most {MOST_FILE_BYTES:,} are taken")

    def _error(self, fault: str) -> InputError:
        return InputError(f"{self.root}: {fault}; unpack it yourself if you trust it, and set root to the folder")
