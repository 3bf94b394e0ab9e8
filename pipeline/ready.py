"""Whether DVC can run here, told before it starts: `make` asks this of a project, and for experiments a little more."""

import fcntl
import json
import subprocess
import sys
from pathlib import Path

SHALLOW = (
    "this clone is shallow, and the results of experiments in a copy of it (--temp, --queue) would be lost; "
    "run git fetch --unshallow"
)


def main(purpose: str) -> None:
    """Exit with a sentence where `purpose`, which is repro or experiment, can't be."""
    clear_invalid_lock(Path(".dvc/tmp"))
    if _git("rev-parse", "--git-dir") is None:
        sys.exit("error: this folder is not a git repository, which DVC needs; run git init, git add --all, git commit")
    if purpose == "experiment":
        if _git("rev-parse", "--verify", "HEAD") is None:
            sys.exit("error: there is no commit yet, which experiments start from; run git add --all and git commit")
        if is_shallow(Path()):
            sys.exit(f"error: {SHALLOW}")


def is_shallow(project: Path) -> bool:
    """Whether a project's clone lacks earlier commits."""
    return _git("-C", str(project), "rev-parse", "--is-shallow-repository") == "true"


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


def _git(*words: str) -> str | None:
    """What git prints, without the end of its last line; None where it fails."""
    done = subprocess.run(["git", *words], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


if __name__ == "__main__":
    main(*sys.argv[1:])
