"""Commands that restore a damaged output of DVC, whose copy in the cache may be damaged too."""

import hashlib
import subprocess
from pathlib import Path

from deepen.core.shell import quote_path


def suggest_repair(path: Path) -> str:
    """Return what to do about a damaged file: for an output of a stage, the commands that have DVC write it again.

    They also remove a damaged copy in the cache: DVC does not verify what it restores from there.
    """
    project = next((folder for folder in path.absolute().parents if (folder / "dvc.lock").is_file()), None)
    expected = (
        _read_recorded_md5(project / "dvc.lock", path.absolute().relative_to(project).as_posix()) if project else None
    )
    if project is None or expected is None:
        return "name another file, or write it again (dvc repro writes the outputs of stages)"
    copy = _find_cache(project) / "files/md5" / expected[:2] / expected[2:]
    damaged = [path, *([copy] if copy.is_file() and _compute_md5(copy) != expected else [])]
    return f"to restore it: rm -f {' '.join(quote_path(file) for file in damaged)} && dvc repro"


def _read_recorded_md5(lock: Path, name: str) -> str | None:
    """Return the MD5 that dvc.lock records for an output of a stage; None for any other file."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        stages = YAML(typ="safe").load(lock)["stages"]
        outs = [out for stage in stages.values() for out in stage.get("outs", ())]
        return next((str(out["md5"]) for out in outs if out["path"] == name and "md5" in out), None)
    except (YAMLError, OSError, TypeError, KeyError, AttributeError, ValueError):
        return None


def _find_cache(project: Path) -> Path:
    try:
        result = subprocess.run(["dvc", "cache", "dir"], cwd=project, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return project / ".dvc/cache"
    return Path(result.stdout.strip())


def _compute_md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
