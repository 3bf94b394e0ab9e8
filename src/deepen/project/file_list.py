"""The files of a project. setup.py, which packages them, runs this module too, so it imports no other one."""

from pathlib import Path

PACKAGED = "files"  # the folder beside this module that has them in an installed package
_PATTERNS = (
    *("params.yaml", "dvc.yaml", "pipeline/*.py", "pipeline/shared/*.py", "ladders/*.yaml", ".gitignore", ".dvcignore"),
    *(".dvc/.gitignore", ".dvc/config", ".dvc/plots.html", ".dvc/plots/*.json"),
)


def list_project_files(root: Path) -> list[Path]:
    """Return the paths of a project's files below a folder; raises FileNotFoundError if some are missing."""
    found = {pattern: sorted(path.relative_to(root) for path in root.glob(pattern)) for pattern in _PATTERNS}
    if missing := [pattern for pattern, paths in found.items() if not paths]:
        raise FileNotFoundError(f"{root}: files of a project are missing: {', '.join(missing)}")
    return [path for paths in found.values() for path in paths]
