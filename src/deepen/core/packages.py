"""Require the Python packages of an extra: whether they are installed, and how to install them."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from deepen.core.errors import InputError

_CLONE = Path(__file__).parents[3]  # the folder with pyproject.toml, unless Deepen is installed as a package


def require_extra(user: str, packages: Sequence[str], extra: str, otherwise: str = "") -> None:
    """Raise InputError if packages of the extra are missing; `user` needs them, `otherwise` is another remedy."""
    if fault := describe_missing(user, packages, extra):
        raise InputError(fault + (f", or {otherwise}" if otherwise else ""))


def describe_missing(user: str, packages: Sequence[str], extra: str) -> str:
    """Return the fault of packages of the extra that are missing, with the command that installs them; else ""."""
    missing = [name for name in packages if not _is_installed(name)]
    if not missing:
        return ""
    are = "packages {}, which are" if len(missing) > 1 else "package {}, which is"
    if (_CLONE / "pyproject.toml").is_file():
        remedy = f"in Deepen's folder, run python -m pip install --editable '.[{extra}]'"
    else:
        remedy = f"run python -m pip install {' '.join(missing)}"
    return f"{user} needs the Python {are.format(', '.join(missing))} not installed; {remedy}"


def _is_installed(name: str) -> bool:
    """Whether a package is installed; a folder of that name, such as wandb/ in a project, is not a package."""
    spec = find_spec(name)
    return spec is not None and spec.origin is not None
