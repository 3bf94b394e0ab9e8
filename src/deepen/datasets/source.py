"""What the source of the images held when DVC looked at it, and whether it still does."""

from collections.abc import Mapping
from pathlib import Path

from deepen.config.dataset_settings import Digits, Downloaded, Folder
from deepen.core.checksums import read_checked_json, write_checked_json
from deepen.core.counts import counted
from deepen.core.errors import InputError, plain
from deepen.datasets.fingerprint import fingerprint

Dataset = Digits | Downloaded | Folder


def save_source(dataset: Dataset, base: Path, path: Path) -> None:
    """Write down what a source holds, relative roots from `base`, and say it."""
    found = fingerprint(dataset, base)
    write_checked_json(path, {"fingerprint": found})
    print(_told(dataset, base, found))


def _told(dataset: Dataset, base: Path, found: Mapping[str, str | int]) -> str:
    """For example `images from photos: 285 files, 12.3 MB`."""
    if not isinstance(dataset, Folder):
        return f"images from {dataset.source}"
    count, megabytes = int(found["files"]), int(found["bytes"]) / 1e6
    return f"images from {plain(dataset.path(base).name)}: {counted(count, 'file')}, {megabytes:,.1f} MB"


def require_same_source(dataset: Dataset, base: Path, path: Path) -> None:
    """Raise InputError where a source no longer holds what `save_source` wrote down in `path`."""
    if fingerprint(dataset, base) != read_checked_json(path, dict)["fingerprint"]:
        where = plain(dataset.root) if isinstance(dataset, Folder) else dataset.source
        raise InputError(f"changed while it ran: {where}; run it again")
