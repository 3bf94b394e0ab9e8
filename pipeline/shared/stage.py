"""How every stage runs: its inputs are noted first, signals end it cleanly, and each end is a line and an exit code."""

import functools
import gc
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from pipeline.shared.inputs import Inputs, of_this_process  # first: it sees the code as it is before that is imported

# A queued experiment runs in a copy of the project: its own library must win over the one installed from the original.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from deepen.core.errors import InputError, Interrupted, some
from deepen.core.outermost import guarded
from pipeline.shared.project import BASE as BASE
from pipeline.shared.project import COMMAND as COMMAND
from pipeline.shared.project import require_full_clone

_IS_STAGE = any(word.startswith(("pipeline.", "study.")) for word in sys.orig_argv)  # and no test or notebook
_FIRST = os.environ.get("RANK", "0") == "0"  # of several processes; it says what all would say


def run(stage: Callable[..., None]) -> None:
    """Call a stage with the command line's words; each way in which it can end is one line and an exit code."""
    inputs()
    _on_signals(_stop)
    gc.freeze()  # what is imported stays
    gc.enable()
    debug = "DEEPEN_DEBUG" in os.environ
    guarded(lambda: _run(stage), again=f"run {COMMAND} again", debug=debug, must_finish=True)
    if _IS_STAGE:  # all is written; Python would first take every module apart, which takes half a second of PyTorch
        os._exit(0)


def _run(stage: Callable[..., None]) -> None:
    require_full_clone()
    try:
        stage(*sys.argv[1:])
    except Interrupted as interrupted:
        if _FIRST:
            raise
        sys.exit(interrupted.code)
    if _FIRST:
        require_unchanged()  # while the outputs were written


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


def _on_signals(handler: Callable[[int, object], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


def _stop(number: int, frame: object) -> None:
    raise Interrupted(f"stopped; {COMMAND} goes on with this stage", 128 + number)


def _stop_at_once(number: int, frame: object) -> None:
    """End while the stage is still being imported, where an exception would come up as a library's."""
    if _FIRST:
        os.write(2, f"stopped; {COMMAND} goes on with this stage\n".encode())
    os._exit(128 + number)


if _IS_STAGE:
    _on_signals(_stop_at_once)
    gc.disable()  # until all is imported: looking for garbage there takes a sixth of the time and finds none
