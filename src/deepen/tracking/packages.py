"""The Python packages of each tracker."""

import os

from deepen.config.settings import Tracking
from deepen.core.packages import require_extra


def require_packages(tracking: Tracking) -> None:
    """Raise InputError if packages of the tracker are missing."""
    require_extra(f"params.yaml: tracking: {tracking}", _list_packages(tracking), tracking, "write tracking: none")


def _list_packages(tracking: Tracking) -> tuple[str, ...]:
    match tracking:
        case "none":
            return ()
        case "mlflow":  # a server needs no database here
            return ("mlflow",) if os.environ.get("MLFLOW_TRACKING_URI") else ("mlflow", "sqlalchemy", "alembic")
    return (tracking,)
