"""Run a stage: record its inputs first, handle signals, and end with a message and an exit code."""

import functools
import gc
import inspect
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.shared.inputs import Inputs, read_stage_inputs  # first: it takes checksums before the code is imported

# A queued experiment runs in a copy of the project: its own library takes precedence over the installed one.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from deepen.core.counts import pluralize
from deepen.core.entry_point import run_program
from deepen.core.errors import InputError, Interrupted, trim
from pipeline.shared.project import BASE as BASE
from pipeline.shared.project import require_full_clone
from pipeline.shared.stopping import COMMAND as COMMAND
from pipeline.shared.stopping import IS_RANK_0, IS_STAGE, STOPPED


def run(stage: Callable[..., None]) -> None:
    """Call a stage with the command line's arguments; report any error as one line and an exit code."""
    get_inputs()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    gc.freeze()  # imported modules are never garbage
    gc.enable()
    debug = "DEEPEN_DEBUG" in os.environ
    run_program(lambda: _run(stage), again=f"run {COMMAND} again", debug=debug, must_finish=True)
    if IS_STAGE:  # all files are written; skip the interpreter's teardown, which takes PyTorch half a second
        os._exit(0)


def _run(stage: Callable[..., None]) -> None:
    require_full_clone()
    _check_arguments(stage, sys.argv[1:])
    try:
        stage(*sys.argv[1:])
    except Interrupted as interrupted:
        if IS_RANK_0:
            raise
        sys.exit(interrupted.code)
    if IS_RANK_0:
        require_unchanged()  # again, for the time in which the outputs were written


def _check_arguments(stage: Callable[..., None], words: Sequence[str]) -> None:
    """Raise InputError unless a stage takes so many arguments."""
    names = [name.upper() for name in inspect.signature(stage).parameters]
    if len(words) != len(names):
        spec = sys.modules["__main__"].__spec__
        command = f"python -m {spec.name if spec else stage.__name__}"
        raise InputError(f"{command}: got {pluralize(len(words), 'argument')}; write {' '.join([command, *names])}")


@functools.cache
def get_inputs() -> Inputs:
    """Return this stage's inputs as they were at start."""
    return read_stage_inputs()


def require_unchanged() -> None:
    """Raise InputError if a dependency has changed since the stage started; each stage calls this before it writes.

    Otherwise DVC would record the changed dependency for outputs that were made from the earlier one.
    """
    if changes := get_inputs().find_changes():
        raise InputError(f"changed while it ran: {', '.join(trim(changes))}; run it again")


def _stop(number: int, frame: object) -> None:
    raise Interrupted(STOPPED, 128 + number)


if IS_STAGE:
    gc.disable()  # during the imports: garbage collection would take a sixth of their time and find none
