"""Save the fingerprint of the image source, and check that it has not changed since."""

from collections.abc import Mapping
from pathlib import Path

from deepen.config.dataset_settings import Digits, Downloaded, Folder
from deepen.core.checksums import read_checked_json, write_checked_json
from deepen.core.counts import pluralize
from deepen.core.errors import InputError, quote
from deepen.datasets.fingerprint import compute_fingerprint

Dataset = Digits | Downloaded | Folder


def save_source(dataset: Dataset, base: Path, path: Path) -> None:
    """Save and print the fingerprint of a source; relative roots start at `base`."""
    fingerprint = compute_fingerprint(dataset, base)
    write_checked_json(path, {"fingerprint": fingerprint})
    print(_describe(dataset, base, fingerprint))


def _describe(dataset: Dataset, base: Path, fingerprint: Mapping[str, str | int]) -> str:
    """Return for example `images from photos: 285 files, 12.3 MB`."""
    if not isinstance(dataset, Folder):
        return f"images from {dataset.source}"
    count, megabytes = int(fingerprint["files"]), int(fingerprint["bytes"]) / 1e6
    return f"images from {quote(dataset.path(base).name)}: {pluralize(count, 'file')}, {megabytes:,.1f} MB"


def require_same_source(dataset: Dataset, base: Path, path: Path) -> None:
    """Raise InputError if the fingerprint of a source differs from the one that `save_source` wrote to `path`."""
    if compute_fingerprint(dataset, base) != read_checked_json(path, dict)["fingerprint"]:
        where = quote(dataset.root) if isinstance(dataset, Folder) else dataset.source
        raise InputError(f"changed while it ran: {where}; run it again")
