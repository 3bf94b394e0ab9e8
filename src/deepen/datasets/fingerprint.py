"""Fingerprint a data source by the names, sizes and times of its files, without reading their content."""

import hashlib
import os
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from deepen.config.dataset_settings import Digits, Downloaded, Folder
from deepen.core.errors import InputError, trim
from deepen.datasets.files import is_folder, list_folder
from deepen.datasets.tables.choice import TableChoice


def compute_fingerprint(dataset: Digits | Downloaded | Folder, base: Path) -> dict[str, str | int]:
    """Compute a description that changes when a file of a source is added, removed, renamed or written to.

    For a folder: the number of its files except clutter, their bytes, and a SHA-256 over the path, size, time and inode
    of each. For an archive: the same of one file. A table of labels outside it counts as one more file. For other
    sources, whose images are fixed: their name. Relative roots start at `base`. Raises InputError with every folder
    that can't be listed, or if the root is missing.
    """
    if not isinstance(dataset, Folder):
        return {"source": dataset.source}
    root = dataset.path(base)
    table = TableChoice.from_settings(dataset, base, "folder").find_outside()
    outside = [] if table is None else [(dataset.labels, table.stat())]
    if not is_folder(root):
        return {"source": dataset.source, **_digest([(root.name, root.stat()), *outside])}
    faults: list[str] = []
    listed = list_folder(root, faults)
    files = ((below, _stat(entry)) for below, entry in listed if entry is not None)
    digest = _digest(chain(files, outside))
    if faults:
        raise InputError([f"{root}: {fault}" for fault in trim(faults)])
    return {"source": dataset.source, **digest}


def _stat(entry: "os.DirEntry[str]") -> os.stat_result:
    """Return the status of a file or, for a broken link, of the link."""
    try:
        return entry.stat()
    except OSError:
        return entry.stat(follow_symlinks=False)


def _digest(files: Iterable[tuple[str, os.stat_result]]) -> dict[str, str | int]:
    digest, count, size = hashlib.sha256(), 0, 0
    for path, status in files:
        digest.update(b"%b\0%d %d %d\n" % (os.fsencode(path), status.st_size, status.st_mtime_ns, status.st_ino))
        count, size = count + 1, size + status.st_size
    return {"files": count, "bytes": size, "sha256": digest.hexdigest()}
