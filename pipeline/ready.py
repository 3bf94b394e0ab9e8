"""Whether DVC can run here, told before it starts: `make` asks this of a project, and for experiments a little more."""

import fcntl
import json
import sys
from pathlib import Path

from pipeline.shared.project import SHALLOW, git, is_shallow


def main(purpose: str) -> None:
    """Exit with a sentence where `purpose`, which is repro or experiment, can't be."""
    clear_invalid_lock(Path(".dvc/tmp"))
    clear_empty_record(Path())
    if git("rev-parse", "--git-dir") is None:
        sys.exit("error: this folder is not a git repository, which DVC needs; run git init, git add --all, git commit")
    if purpose == "experiment":
        if git("rev-parse", "--verify", "HEAD") is None:
            sys.exit("error: there is no commit yet, which experiments start from; run git add --all and git commit")
        if is_shallow(Path()):
            sys.exit(f"error: {SHALLOW}")


def clear_invalid_lock(folder: Path) -> None:
    """Remove DVC's list of locked files where a process that was killed left it half-written: no command reads that.

    DVC writes it only while it holds the lock file beside it, and so does this.
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


def clear_empty_record(project: Path) -> None:
    """Remove a dvc.lock that a process that was killed left empty: no command reads that, and DVC makes it anew.

    What was made stays in DVC's cache, from which the next dvc repro takes it. DVC holds its lock while it writes, and
    so does this.
    """
    record = project / "dvc.lock"
    if not record.is_file() or record.stat().st_size:
        return
    with (project / ".dvc/tmp/lock").open("a") as guard:
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        record.unlink()
        print("dvc.lock was left empty by a process that was killed; dvc repro makes it anew, from DVC's cache")


if __name__ == "__main__":
    main(*sys.argv[1:])
