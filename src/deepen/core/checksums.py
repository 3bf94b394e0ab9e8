"""Checksums inside the files of this project: what is read is what was written, or an error."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from deepen.core.dvc_cache import how_to_repair
from deepen.core.errors import InputError
from deepen.core.files import write_text

T = TypeVar("T")
_KEY = "sha256"


class ChecksumMismatch(InputError):
    """A file does not hold what was written to it."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path}: checksum mismatch: it was damaged or changed after it was written; {how_to_repair(path)}"
        )


def checksum(text: str, parts: Iterable[Any] = ()) -> str:
    """The SHA-256 of a text and of what follows it, objects with the buffer interface, as 64 hexadecimal digits."""
    digest = hashlib.sha256(text.encode())
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def write_checked_json(path: Path, content: Mapping[str, Any], indent: int | None = 1) -> None:
    """Write a JSON object with the checksum of all else in it, as a list, which DVC leaves out of its table."""
    if _KEY in content:
        raise ValueError(f"{_KEY} is the key of the checksum")
    write_text(path, json.dumps({**content, _KEY: [_json_checksum(content)]}, indent=indent) + "\n")


def read_checked_json(path: Path, kind: type[T]) -> T:
    """What `write_checked_json` wrote, as a `kind`.

    Raises InputError where the file is missing or something else, ChecksumMismatch where its content has changed.
    """
    try:
        content = json.loads(path.read_bytes())
        (expected,) = content.pop(_KEY)
    except (OSError, ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise _invalid(path, error) from error
    if expected != _json_checksum(content):
        raise ChecksumMismatch(path)
    try:
        return TypeAdapter(kind).validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        raise _invalid(path, error) from error


def _json_checksum(content: Mapping[str, Any]) -> str:
    return checksum(json.dumps(content))


def _invalid(path: Path, error: Exception) -> InputError:
    reason = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())[:200]
    return InputError(f"{path}: is not what this project writes there ({reason}); {how_to_repair(path)}")
