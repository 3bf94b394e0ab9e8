"""Checksums of the installed library's packages, on which stages depend in a project without src/."""

import hashlib
from importlib.util import find_spec
from pathlib import Path

FOLDER = Path("data/installed")  # in the dvc.yaml that `deepen init` writes
_CODE = (".py", ".css", ".j2")


def list_checksums(package: str) -> str:
    """Return the checksum and name of each file of a package of the library, a line each; empty if it is missing."""
    folder = _find_library() / package
    files = sorted(path for path in folder.rglob("*") if path.suffix in _CODE)
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n" for path in files
    )


def is_changed(path: Path) -> bool:
    """Return whether a dependency has the checksums of a package that has been installed anew since."""
    return path.parent == FOLDER and path.is_file() and path.read_text() != list_checksums(path.stem)


def _find_library() -> Path:
    """Return the folder of the library, without importing it."""
    spec = find_spec("deepen")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent
