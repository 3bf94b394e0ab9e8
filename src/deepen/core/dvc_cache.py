"""What DVC's cache holds of a file, for the case that the file is damaged."""

import hashlib
import shlex
import subprocess
from pathlib import Path


def how_to_repair(path: Path) -> str:
    """What to do about a damaged file: the commands that have DVC make it anew, where it is an output of a stage.

    Where the copy in DVC's cache is damaged too, it must go as well: DVC takes what is in its cache for sound.
    """
    project = next((folder for folder in path.absolute().parents if (folder / "dvc.lock").is_file()), None)
    expected = _recorded(project / "dvc.lock", path.absolute().relative_to(project).as_posix()) if project else None
    if project is None or expected is None:
        return "name another file, or make it again (dvc repro makes what stages write)"
    copy = _cache(project) / "files/md5" / expected[:2] / expected[2:]
    damaged = [path, *([copy] if copy.is_file() and _md5(copy) != expected else [])]
    return f"to make it anew: rm -f {' '.join(shlex.quote(str(file)) for file in damaged)} && dvc repro"


def _recorded(lock: Path, name: str) -> str | None:
    """The MD5 that dvc.lock has for an output of a stage; None for all else, as for code, which no stage makes."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        stages = YAML(typ="safe").load(lock)["stages"]
        outs = [out for stage in stages.values() for out in stage.get("outs", ())]
        return next((str(out["md5"]) for out in outs if out["path"] == name and "md5" in out), None)
    except (YAMLError, OSError, TypeError, KeyError, AttributeError, ValueError):
        return None


def _cache(project: Path) -> Path:
    try:
        told = subprocess.run(["dvc", "cache", "dir"], cwd=project, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return project / ".dvc/cache"
    return Path(told.stdout.strip())


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
