"""One thin script a stage: read the settings, call the library, write the files that dvc.yaml declares."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

# A queued experiment runs in a copy of the project: its own library must win over the one installed from the original.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from deepen.errors import InputError, Interrupted, listed_faults


def project_folder(root: str | None, here: Path) -> Path:
    """The project's folder, where the user's relative paths start, of a stage that runs `here`.

    DVC runs experiments in copies of its repository and names the original in `root`. The project lies in the original
    where it lies in the copy: at its top, or in a folder below, where others share the repository.
    """
    if root is None:
        return Path()
    top = next((folder for folder in (here, *here.parents) if (folder / ".dvc").is_dir()), here)
    return root / here.relative_to(top)


BASE = project_folder(os.environ.get("DVC_ROOT"), Path.cwd())


def run(stage: Callable[..., None]) -> None:
    """Call a stage with the command line's words; an InputError becomes its message and exit code 1.

    Ctrl-C and SIGTERM end it with a line that says how to go on; of several processes the first says it.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        stage(*sys.argv[1:])
    except InputError as error:
        sys.exit(listed_faults(error))
    except Interrupted as interrupted:
        if os.environ.get("RANK", "0") == "0":
            print(interrupted, file=sys.stderr)
        sys.exit(interrupted.code)


def _stop(number: int, frame: object) -> None:
    raise Interrupted("stopped; dvc repro goes on with this stage", 128 + number)
