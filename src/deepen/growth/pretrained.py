"""Pretrained weights files for a first model, whose names contain a hash of their content."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open

from deepen.config.settings import Model
from deepen.config.validation import START_FILE
from deepen.core.errors import InputError
from deepen.core.regular_files import require_regular
from deepen.core.wording import describe_cause
from deepen.models.layers import Shape


def content_hash(path: Path) -> str:
    """Return the first 8 hexadecimal digits of a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:8]


def read_start_shapes(models: Mapping[str, Model], base: Path) -> dict[str, dict[str, Shape]]:
    """Read the shapes by state-dict key for each model that starts from a file; paths are relative to `base`.

    Raises InputError with every file that can't be read or whose content does not match its name.
    """
    shapes: dict[str, dict[str, Shape]] = {}
    faults = []
    for name, model in models.items():
        if model.start:
            try:
                shapes[name] = _read_shapes(base / model.start)
            except InputError as error:
                faults += [f"params.yaml: models.{name}.start: {fault}" for fault in error.faults]
    if faults:
        raise InputError(faults)
    return shapes


def _read_shapes(path: Path) -> dict[str, Shape]:
    require_regular(path, "run deepen import again")
    try:
        name, digest = re.fullmatch(START_FILE, path.name), content_hash(path)
        if name is None or name[1] != digest:
            raise InputError(f"{path}: checksum mismatch: its content's hash is {digest}; run deepen import again")
        with safe_open(path, framework="numpy") as file:
            return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: can't be read ({describe_cause(error)}); run deepen import again") from error
