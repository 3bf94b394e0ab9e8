"""The Python packages of each tracker: whether they are installed, and how to install them."""

import os
from importlib.util import find_spec

from deepen.config.settings import Tracking
from deepen.core.errors import InputError


def require_packages(tracking: Tracking) -> None:
    """Raise InputError if packages of the tracker are missing."""
    if missing := [name for name in _list_packages(tracking) if not _is_installed(name)]:
        raise InputError(
            f"params.yaml: tracking: {tracking} needs the Python packages {', '.join(missing)}, which are not "
            f"installed; in Deepen's folder, run python -m pip install --editable '.[{tracking}]', "
            "or write tracking: none"
        )


def _list_packages(tracking: Tracking) -> tuple[str, ...]:
    match tracking:
        case "none":
            return ()
        case "mlflow":  # a server needs no database here
            return ("mlflow",) if os.environ.get("MLFLOW_TRACKING_URI") else ("mlflow", "sqlalchemy", "alembic")
    return (tracking,)


def _is_installed(name: str) -> bool:
    """Whether a package is installed; a folder of that name, such as wandb/ in a project, is not a package."""
    spec = find_spec(name)
    return spec is not None and spec.origin is not None
