"""Which project a stage works for, and by which command: DVC runs experiments in copies and says so in variables."""

import os
from pathlib import Path

from deepen.errors import InputError
from pipeline.ready import SHALLOW, is_shallow


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
