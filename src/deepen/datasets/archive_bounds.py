"""Limits on the files and bytes of an archive, against decompression bombs."""

from pathlib import Path

from deepen.core.errors import InputError, quote
from deepen.datasets.files import MOST_FILE_BYTES

MOST_FILES = 20_000_000
MOST_SMALL_FILES = 100_000  # files and folders allowed in any archive; more if it has BYTES_A_FILE for each
BYTES_A_FILE = 64  # of the archive, compressed: fewer than any image needs
MOST_TIMES = 200  # the size of the archive: the limit unpacked, or MOST_SMALL_BYTES if larger
MOST_SMALL_BYTES = 1 << 30


class ArchiveLimits:
    """Counts files and bytes of an archive, and raises InputError above the limits."""

    def __init__(self, root: Path) -> None:
        size = root.stat().st_size
        self.root, self._files, self._bytes = root, 0, 0
        self._most_files = min(MOST_FILES, max(MOST_SMALL_FILES, size // BYTES_A_FILE))
        self._most_bytes = max(MOST_SMALL_BYTES, MOST_TIMES * size)

    def count(self, size: int) -> None:
        """Count a member of `size` bytes."""
        self._files, self._bytes = self._files + 1, self._bytes + size
        if self._files > self._most_files:
            raise self._error(f"has more than {self._most_files:,} files and folders, too many for its size")
        self.check_total(self._bytes)

    def check_total(self, size: int) -> None:
        """Raise InputError if the total of unpacked bytes exceeds the limit."""
        if size > self._most_bytes:
            raise self._error(f"has more than {self._most_bytes:,} bytes unpacked, {MOST_TIMES} times its size")

    def check_file(self, name: str, size: int) -> None:
        """Raise InputError if a file is too large to be read."""
        if size > MOST_FILE_BYTES:
            raise self._error(f"{quote(name)} has {size:,} bytes unpacked; the limit is {MOST_FILE_BYTES:,}")

    def _error(self, fault: str) -> InputError:
        return InputError(f"{self.root}: {fault}; if you trust it, unpack it by hand and set root to the folder")
