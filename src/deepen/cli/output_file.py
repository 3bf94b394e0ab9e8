"""Check the path of a file to write before the work whose result it takes."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from deepen.core.errors import InputError, quote
from deepen.core.files import make_write_error, validate_target


def check_output(path: Path, option: str, inputs: Sequence[Path], *, force: bool) -> None:
    """Raise InputError if a command must not, or can't, write to `path`, which `option` names.

    An existing file is replaced only with `force`; a file of the `inputs`, also behind a link or in a folder, never.
    """
    validate_target(path)
    if path.exists():
        if any(map(path.samefile, filter(Path.exists, inputs))):
            raise InputError(f"{quote(path)}: is the input; choose another {option}")
        if folder := next((each for each in inputs if path.resolve().is_relative_to(each.resolve())), None):
            raise InputError(
                f"{quote(path)}: is an existing file of the input {quote(folder)}; choose another {option}"
            )
        if not force:
            raise InputError(f"{quote(path)}: already exists; add --force to replace it, or choose another {option}")
    above = next(each for each in path.absolute().parents if os.path.lexists(each))
    if not above.is_dir():
        raise make_write_error(path, NotADirectoryError(errno.ENOTDIR, ""))
    if not os.access(above, os.W_OK | os.X_OK):
        raise make_write_error(path, PermissionError(errno.EACCES, ""))
