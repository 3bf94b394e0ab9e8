"""Refuse an output file that DVC would replace while a command writes it."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from deepen.core.errors import InputError, quote
from deepen.experiments.references import run_git

_OUTPUT, _ERRORS = 1, 2  # file descriptors


def require_kept_output() -> None:
    """Raise InputError if the output goes to a file of the git repository that git does not ignore.

    `dvc exp apply` stashes such files and writes them anew, so what is printed later would be lost.
    """
    opened = [os.fstat(each) for each in (_OUTPUT, _ERRORS)]
    written = {(each.st_dev, each.st_ino) for each in opened if stat.S_ISREG(each.st_mode)}
    if written and (path := next((each for each in _iter_files() if _identify(each) in written), None)):
        raise InputError(
            f"{quote(path.name)}: --apply can't print into this file: dvc exp apply replaces files of the project, and "
            "the last lines would be lost; print into a file outside of the project, or one that git ignores"
        )


def _iter_files() -> Iterator[Path]:
    """Yield the files of the git repository, tracked and new, without ignored ones."""
    root = Path(os.fsdecode(run_git(Path(), "rev-parse", "--show-toplevel").rstrip(b"\n")))
    listed = run_git(root, "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    yield from (root / os.fsdecode(name) for name in listed.split(b"\0") if name)


def _identify(path: Path) -> tuple[int, int] | None:
    with suppress(OSError):
        found = path.stat()
        return found.st_dev, found.st_ino
    return None
