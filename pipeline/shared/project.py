"""Which project a stage works for, and by which command: DVC runs experiments in copies and says so in variables."""

import os
import subprocess
from pathlib import Path

from deepen.core.errors import InputError

SHALLOW = (
    "this clone is shallow, and the results of experiments in a copy of it (--temp, --queue) would be lost; "
    "run git fetch --unshallow"
)


def project_folder(root: str | None, here: Path) -> Path:
    """The project's folder, where the user's relative paths start, of a stage that runs `here`.

    DVC runs experiments in copies of its repository and names the original in `root`. The project lies in the original
    where it lies in the copy: at its top, or in a folder below, where others share the repository.
    """
    if root is None:
        return Path()
    top = next((folder for folder in (here, *here.parents) if (folder / ".dvc").is_dir()), here)
    return Path(root) / here.relative_to(top)


BASE = project_folder(os.environ.get("DVC_ROOT"), Path.cwd())
# What the user has to run again: DVC sets this variable for the stages of an experiment.
COMMAND = "the same dvc exp run" if "DVC_EXP_BASELINE_REV" in os.environ else "dvc repro"


def require_full_clone() -> None:
    """Raise InputError where DVC would lose what this stage makes: in a copy of a clone that lacks earlier commits."""
    in_copy = "DVC_EXP_BASELINE_REV" in os.environ and BASE.resolve() != Path.cwd()
    if in_copy and is_shallow(BASE):
        raise InputError(SHALLOW)


def is_shallow(project: Path) -> bool:
    """Whether a project's clone lacks earlier commits."""
    return git("-C", str(project), "rev-parse", "--is-shallow-repository") == "true"


def git(*words: str) -> str | None:
    """What git prints, without the end of its last line; None where it fails."""
    done = subprocess.run(["git", *words], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None
