"""JSON files of this project, read back and held to their type."""

from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from deepen.core.errors import InputError

T = TypeVar("T")


def read_json(path: Path, kind: type[T]) -> T:
    """What a JSON file holds, as a `kind`; raises InputError where the file is not that."""
    try:
        return TypeAdapter(kind).validate_json(path.read_bytes(), strict=True)
    except (OSError, ValidationError) as error:
        reason = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())[:200]
        raise InputError(f"{path}: is not what this project writes there ({reason}); run dvc repro") from error
