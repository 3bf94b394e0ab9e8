"""Read the git references of experiments, and files in commits, with git."""

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from deepen.core.errors import InputError
from deepen.core.names import name_folder

_REFS = "refs/exps/*/*/*"  # the commit that an experiment started from, in two parts, and its name
_NAMED = re.compile(r"refs/exps/[0-9a-f]{2}/[0-9a-f]{38,62}/.+")  # excludes DVC's own references


class Reference(NamedTuple):
    """The git reference of an experiment, its commit and that commit's date."""

    revision: str
    date: str
    ref: str

    @property
    def name(self) -> str:
        return self.ref.rpartition("/")[2]

    @property
    def start(self) -> str:
        return "".join(self.ref.split("/")[2:4])


def list_references(project: Path, everywhere: bool = False) -> tuple[list[Reference], int]:
    """Return the references of the experiments from the last commit, or all; and the number of the others."""
    head = run_git(project, "rev-parse", "HEAD").decode().strip()
    form = "%(objectname)%09%(committerdate:format-local:%Y-%m-%d %H:%M)%09%(refname)"
    output = run_git(project, "for-each-ref", f"--format={form}", _REFS)
    refs = [ref for line in output.decode().splitlines() if _NAMED.fullmatch((ref := Reference(*line.split("\t"))).ref)]
    chosen = [each for each in refs if everywhere or each.start == head]
    return chosen, len(refs) - len(chosen)


def read_contents(project: Path, names: Iterable[str]) -> Iterator[bytes | None]:
    """Yield the contents of files in commits, named in git's syntax, in order; None if a commit lacks the file."""
    output = run_git(project, "cat-file", "--batch", stdin="\n".join(names).encode() + b"\n")
    start = 0
    while start < len(output):
        header, _, _ = output[start:].partition(b"\n")
        start += len(header) + 1
        if header.endswith(b" missing"):
            yield None
        else:
            size = int(header.split()[-1])
            yield output[start : start + size]
            start += size + 1


def require_commit(project: Path) -> None:
    """Raise InputError unless a project is in a git repository with a commit, which experiments start from."""
    git = ["git", "rev-parse", "--quiet", "--verify", "HEAD"]
    if shutil.which("git") and subprocess.run(git, cwd=project, capture_output=True).returncode:
        inside = subprocess.run(["git", "rev-parse", "--git-dir"], cwd=project, capture_output=True).returncode == 0
        state, first = ("has no commit", "") if inside else ("is not in a git repository", "git init && ")
        raise InputError(
            f"{name_folder(project)}: {state}, and experiments start from a commit; run {first}git add --all && git "
            "commit -m Start"
        )


def run_git(project: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    try:
        return subprocess.run(["git", *arguments], cwd=project, input=stdin, capture_output=True, check=True).stdout
    except FileNotFoundError as error:
        raise InputError("git: not available; install it") from error
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip().removeprefix("fatal: ")
        raise InputError(
            f"{project}: git {arguments[0]} failed ({reason}); run in a git repository with a commit"
        ) from error
