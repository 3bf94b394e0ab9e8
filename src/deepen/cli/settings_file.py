"""Change a params.yaml, or the file that it links to, under a lock."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def read_params(project: Path) -> dict[str, Any]:
    """Return the content of a project's params.yaml; raises InputError with every fault."""
    from deepen.config.settings import check_settings
    from deepen.core.yaml_reading import read_yaml

    content = read_yaml(project / "params.yaml", name="params.yaml")
    check_settings(content)
    assert isinstance(content, dict)  # check_settings checks it
    return content


@contextmanager
def lock_settings(path: Path) -> Iterator[None]:
    """Hold the lock of a params.yaml, so that one command at a time changes it; raises InputError if it is invalid."""
    from deepen.config.settings import load_settings
    from deepen.runtime.lock import hold_lock

    load_settings(path)  # report its errors before creating the lock file beside it

    def report_wait(holder: str) -> None:
        print(f"{path}: {holder}, is changing it; waiting until it ends", file=sys.stderr)

    file = path.resolve()  # links to the same file share one lock
    with hold_lock(file.with_name(f".{file.name}.lock"), report_wait):
        yield


def read_settings_text(path: Path) -> str:
    """Return the text of a params.yaml, with its line endings."""
    return path.read_bytes().decode()


def write_settings_text(path: Path, text: str) -> None:
    """Replace the text of a params.yaml, and keep its permissions."""
    from deepen.core.files import write_atomically

    with write_atomically(path.resolve()) as temporary:
        temporary.write_bytes(text.encode())
        shutil.copymode(path, temporary)
