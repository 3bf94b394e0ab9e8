"""Require the Python packages of an extra: whether they are installed, and how to install them."""

from collections.abc import Sequence
from importlib.util import find_spec

from deepen.core.errors import InputError


def require_extra(user: str, packages: Sequence[str], extra: str, otherwise: str = "") -> None:
    """Raise InputError if packages of the extra are missing; `user` needs them, `otherwise` is another remedy."""
    if missing := [name for name in packages if not _is_installed(name)]:
        names, several = ", ".join(missing), len(missing) > 1
        raise InputError(
            f"{user} needs the Python package{'s' if several else ''} {names}, which {'are' if several else 'is'} not "
            f"installed; in Deepen's folder, run python -m pip install --editable '.[{extra}]'"
            + (f", or {otherwise}" if otherwise else "")
        )


def _is_installed(name: str) -> bool:
    """Whether a package is installed; a folder of that name, such as wandb/ in a project, is not a package."""
    spec = find_spec(name)
    return spec is not None and spec.origin is not None
