"""SHA-256 checksums stored inside files, and JSON files that are verified when read."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from deepen.core.dvc_cache import suggest_repair
from deepen.core.errors import InputError
from deepen.core.files import write_text
from deepen.core.wording import describe_cause, format_value

T = TypeVar("T")
_KEY = "sha256"


class ChecksumMismatch(InputError):
    """The content of a file does not match its checksum."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path}: checksum mismatch: the file was damaged or changed after it was written; {suggest_repair(path)}"
        )


def compute_checksum(text: str, parts: Iterable[Any] = ()) -> str:
    """Return the SHA-256 of a text followed by `parts`, objects with the buffer interface, as 64 hexadecimal digits."""
    digest = hashlib.sha256(text.encode())
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def write_checked_json(path: Path, content: Mapping[str, Any], indent: int | None = 1) -> None:
    """Write a JSON object with the checksum of its content, as a list, which DVC leaves out of its table of metrics."""
    if _KEY in content:
        raise ValueError(f"{_KEY} is the key of the checksum")
    write_text(path, json.dumps({**content, _KEY: [_compute_json_checksum(content)]}, indent=indent) + "\n")


def read_checked_json(path: Path, kind: type[T]) -> T:
    """Read a file of `write_checked_json` as a `kind`.

    Raises InputError if the file is missing or has another format, ChecksumMismatch if its content has changed.
    """
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise _make_format_error(path, describe_cause(error)) from error
    if not isinstance(content, dict):
        raise _make_format_error(path, f"must be a JSON object, got {format_value(content)}")
    if _KEY not in content:
        raise _make_format_error(path, "its checksum is missing")
    if content.pop(_KEY) != [_compute_json_checksum(content)]:
        raise ChecksumMismatch(path)
    try:
        return TypeAdapter(kind).validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        raise _make_format_error(path, describe_cause(error)) from error


def _compute_json_checksum(content: Mapping[str, Any]) -> str:
    return compute_checksum(json.dumps(content))


def _make_format_error(path: Path, reason: str) -> InputError:
    return InputError(f"{path}: invalid file ({reason}); {suggest_repair(path)}")
