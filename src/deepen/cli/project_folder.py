"""The project's folder: whether a folder is one, and what to do where it is not."""

from pathlib import Path

from deepen.core.errors import InputError, quote
from deepen.core.shell import quote_path

_FILES = ("params.yaml", "dvc.yaml")  # of every project


def is_project(folder: Path) -> bool:
    """Return whether a folder has the files of every project."""
    return all((folder / name).is_file() for name in _FILES)


def find_project_above(folder: Path) -> Path | None:
    """Return the nearest project above a folder; None if there is none."""
    return next((each for each in folder.resolve().parents if is_project(each)), None)


def require_project(folder: Path, *, has_option: bool = True) -> None:
    """Raise InputError if a folder is not a Deepen project; `has_option` is whether the command has --project."""
    where = "this folder" if folder == Path() else f"--project {quote(folder)}"
    option = ", or add --project FOLDER" if has_option else ""
    remedy = f"run the command in a project's folder{option}; deepen init NEW starts a project"
    if not folder.exists():
        raise InputError(f"{where}: no such folder; {remedy}")
    if not folder.is_dir():
        raise InputError(f"{where}: is a file, not a folder; {remedy}")
    if not (folder / "params.yaml").is_file():
        if above := find_project_above(folder):
            remedy = f"it is inside a project: cd {quote_path(above)}{option}"
        raise InputError(f"{where}: not a Deepen project, params.yaml is missing; {remedy}")
