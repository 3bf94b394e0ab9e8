"""One thin script a stage: read the settings, call the library, write the files that dvc.yaml declares."""

import functools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from pipeline.inputs import Inputs, of_this_process  # first: it sees the code as it is before that is imported

# A queued experiment runs in a copy of the project: its own library must win over the one installed from the original.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from deepen.errors import InputError, Interrupted, some

# Where the user's relative paths start: DVC runs experiments in copies, and names the original here.
BASE = Path(os.environ.get("DVC_ROOT", "."))
# What the user has to run again: DVC sets this variable for the stages of an experiment.
COMMAND = "the same dvc exp run" if "DVC_EXP_BASELINE_REV" in os.environ else "dvc repro"


def run(stage: Callable[..., None]) -> None:
    """Call a stage with the command line's words; an InputError becomes its message and exit code 1.

    Ctrl-C and SIGTERM end it with a line that says how to go on; of several processes the first says it.
    """
    inputs()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        stage(*sys.argv[1:])
        if os.environ.get("RANK", "0") == "0":
            require_unchanged()  # while the outputs were written
    except InputError as error:
        sys.exit("\n".join(f"error: {fault}" for fault in error.faults))
    except Interrupted as interrupted:
        if os.environ.get("RANK", "0") == "0":
            print(interrupted, file=sys.stderr)
        sys.exit(interrupted.code)


@functools.cache
def inputs() -> Inputs:
    """What this process' stage depends on, as it was at first sight."""
    return of_this_process()


def require_unchanged() -> None:
    """Raise InputError where what the stage depends on has changed since it began; each stage asks before it writes.

    DVC would record the change as what the outputs were made from.
    """
    if found := inputs().changed():
        raise InputError(f"changed while it ran: {', '.join(some(found))}; run it again")


def _stop(number: int, frame: object) -> None:
    raise Interrupted(f"stopped; {COMMAND} goes on with this stage", 128 + number)
