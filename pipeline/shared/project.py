"""The project folder and the command of a stage, also in DVC's temporary copies for experiments."""

import os
import subprocess
from pathlib import Path

from deepen.core.errors import InputError

SHALLOW = (
    "this clone is shallow, and the results of experiments in a copy of it (--temp, --queue) would be lost; "
    "run git fetch --unshallow"
)


def find_project_folder(root: str | None, here: Path) -> Path:
    """Return the project folder, where the user's relative paths start, for a stage that runs in `here`.

    DVC runs experiments in copies of the repository and passes the original as `root`. The project has the same path in
    both: the top folder, or a subfolder of a repository with several projects.
    """
    if root is None:
        return Path()
    top = next((folder for folder in (here, *here.parents) if (folder / ".dvc").is_dir()), here)
    return Path(root) / here.relative_to(top)


BASE = find_project_folder(os.environ.get("DVC_ROOT"), Path.cwd())


def require_full_clone() -> None:
    """Raise InputError in a copy of a shallow clone, where DVC would lose the results."""
    in_copy = "DVC_EXP_BASELINE_REV" in os.environ and BASE.resolve() != Path.cwd()
    if in_copy and is_shallow(BASE):
        raise InputError(SHALLOW)


def is_shallow(project: Path) -> bool:
    """Whether a project is a shallow clone, without earlier commits."""
    return git("-C", str(project), "rev-parse", "--is-shallow-repository") == "true"


def git(*words: str) -> str | None:
    """Return git's output, stripped, or None if it fails."""
    process = subprocess.run(["git", *words], capture_output=True, text=True)
    return process.stdout.strip() if process.returncode == 0 else None
