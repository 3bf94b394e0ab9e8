"""What a source holds, told in a moment: names, sizes and times of files, and none of their content."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from deepen.config.dataset_settings import Digits, Downloaded, Folder
from deepen.core.errors import InputError, some
from deepen.datasets.files import is_folder, list_folder


def fingerprint(dataset: Digits | Downloaded | Folder, base: Path) -> dict[str, str | int]:
    """A description that differs once a file that training may read was added, removed, renamed or written to.

    For a folder: the number of its files but clutter, their bytes, and a SHA-256 over the path, size, time and inode of
    each; for an archive the same of one file; for other sources, whose images are fixed, their name. Relative roots
    start at `base`. Raises InputError with every folder that can't be listed, or where the root is missing.
    """
    if not isinstance(dataset, Folder):
        return {"source": dataset.source}
    root = dataset.path(base)
    if not is_folder(root):
        return {"source": dataset.source, **_digest([(root.name, root.stat())])}
    faults: list[str] = []
    listed = list_folder(root, faults)
    found = _digest((below, _stat(entry)) for below, entry in listed if entry is not None)
    if faults:
        raise InputError([f"{root}: {fault}" for fault in some(faults)])
    return {"source": dataset.source, **found}


def _stat(entry: "os.DirEntry[str]") -> os.stat_result:
    """Of a file or, where a link leads to nothing, of the link."""
    try:
        return entry.stat()
    except OSError:
        return entry.stat(follow_symlinks=False)


def _digest(files: Iterable[tuple[str, os.stat_result]]) -> dict[str, str | int]:
    digest, count, size = hashlib.sha256(), 0, 0
    for path, found in files:
        digest.update(b"%b\0%d %d %d\n" % (os.fsencode(path), found.st_size, found.st_mtime_ns, found.st_ino))
        count, size = count + 1, size + found.st_size
    return {"files": count, "bytes": size, "sha256": digest.hexdigest()}
