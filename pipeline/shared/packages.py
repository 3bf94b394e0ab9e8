"""Checksums of packages, on which stages depend where DVC does not see the packages themselves as they are.

In a project of `deepen init` the library is installed, outside the project. In the studies, DVC would count the
bytecode that Python writes beside the code.
"""

import hashlib
from importlib.util import find_spec
from pathlib import Path

FOLDER = Path("data/installed")  # of the library's packages, in the dvc.yaml that `deepen init` writes
STUDY_FOLDER = Path("study/data/code")  # of the project's folders, in study/dvc.yaml
_CODE = (".py", ".css", ".j2")


def list_checksums(package: Path) -> str:
    """Return the checksum and name of each file of a package, a line each; empty if it is missing.

    Hidden files and folders, as editors make them, are not code.
    """
    names = (path.relative_to(package) for path in package.rglob("*") if path.suffix in _CODE and path.is_file())
    files = sorted(package / name for name in names if not any(part.startswith(".") for part in name.parts))
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(package).as_posix()}\n" for path in files
    )


def find_package(path: Path) -> Path | None:
    """Return the package whose checksums a dependency has; None for other dependencies."""
    if path.parent == FOLDER:
        return _find_library() / path.stem
    return path.relative_to(STUDY_FOLDER).with_suffix("") if path.is_relative_to(STUDY_FOLDER) else None


def find_changed_package(path: Path) -> str | None:
    """Return a description of the package whose checksums a dependency has, if it has changed since, else None."""
    package = find_package(path)
    if package is None or not path.is_file() or path.read_text() == list_checksums(package):
        return None
    return f"the installed package deepen.{path.stem}" if path.parent == FOLDER else str(package)


def _find_library() -> Path:
    """Return the folder of the library, without importing it."""
    spec = find_spec("deepen")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent
