"""Preflight check of `make`: can DVC run in this project, and can it run experiments?"""

import fcntl
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from deepen.core.entry_point import run_program
from pipeline.shared.project import SHALLOW, git, is_shallow


def main(purpose: str, *models: str) -> None:
    """Exit with an error if DVC can't run, or a model is unknown; `purpose` is repro or experiment."""
    remove_invalid_rwlock(Path(".dvc/tmp"))
    remove_empty_dvc_lock(Path())
    if git("rev-parse", "--git-dir") is None:
        sys.exit("error: not a git repository, which DVC needs; run git init, git add --all, git commit")
    if purpose == "experiment":
        if git("rev-parse", "--verify", "HEAD") is None:
            sys.exit("error: the repository has no commit, which experiments start from; run git add --all, git commit")
        if is_shallow(Path()):
            sys.exit(f"error: {SHALLOW}")
    if models:
        run_program(lambda: _require_models(models))


def _require_models(names: Sequence[str]) -> None:
    from deepen.config.settings import load_settings  # slow to import

    settings = load_settings()
    for name in names:
        settings.require_model(name)


def remove_invalid_rwlock(folder: Path) -> None:
    """Remove DVC's list of locked files if a killed process left invalid JSON, with which every DVC command fails.

    DVC writes the list only while it holds the lock file beside it, and so does this function.
    """
    locks = folder / "rwlock"
    if not locks.is_file():
        return
    with (folder / "rwlock.lock").open("a") as guard:
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
            json.loads(locks.read_bytes())
        except (BlockingIOError, FileNotFoundError):
            return
        except ValueError:
            locks.unlink()


def remove_empty_dvc_lock(project: Path) -> None:
    """Remove a dvc.lock that a killed process left empty, with which every DVC command fails.

    The outputs stay in DVC's cache, from which the next dvc repro restores them. DVC holds its lock while it writes
    dvc.lock, and so does this function.
    """
    dvc_lock = project / "dvc.lock"
    if not dvc_lock.is_file() or dvc_lock.stat().st_size:
        return
    with (project / ".dvc/tmp/lock").open("a") as guard:
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        dvc_lock.unlink()
        print("removed an empty dvc.lock that a killed process left; dvc repro writes it again, from DVC's cache")


if __name__ == "__main__":
    main(*sys.argv[1:])
