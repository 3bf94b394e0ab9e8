"""Run a stage in several processes, started by the command in the environment variable DEEPEN_LAUNCH.

It is not a setting in params.yaml, because it changes where a stage runs and not what it computes.
"""

import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from deepen.config.settings import load_settings
from deepen.core.errors import InputError
from deepen.runtime.group import Group
from pipeline.shared.stage import run

LAUNCH = "DEEPEN_LAUNCH"
_NOT_STARTED = "DEEPEN_NOT_STARTED"  # names a file that the processes of a stage remove when they start
EXAMPLE = f"write for example {LAUNCH}='torchrun --standalone --nproc-per-node 2'"


def run_together(stage: Callable[[str, Group], None], module: str) -> None:
    """Call a stage of a model as `run` does, in the processes that DEEPEN_LAUNCH starts if it is set."""
    command = os.environ.pop(LAUNCH, "")  # removed, so that the started processes do not launch again

    def launch(name: str) -> None:
        _launch(command, module, name)

    def call(name: str) -> None:
        if marker := os.environ.pop(_NOT_STARTED, ""):
            Path(marker).unlink(missing_ok=True)
        group = Group()  # first, so that the processes can agree on which of them reports an error
        with group.report_once():
            stage(name, group)

    run(launch if command.strip() else call)


def _exec_torchrun(arguments: Sequence[str]) -> None:
    """Replace this process by torchrun without its traceback, which would follow each error that a stage reports."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "pipeline.shared.launched", *arguments])


def _launch(command: str, module: str, name: str) -> None:
    """Run the launcher and exit with its code; raises InputError if it can't be started or does not run the stage."""
    settings = load_settings()  # reports invalid settings once, not in each process
    settings.require_model(name)
    os.environ.setdefault("OMP_NUM_THREADS", str(settings.cpu_threads))  # else torchrun sets it and warns
    # With a shared store, restarted processes find the addresses of the earlier ones in it
    # (pytorch/pytorch issue 135712).
    os.environ.setdefault("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
    try:
        launcher, words = shlex.split(command), ["-m", module, name]
        if Path(launcher[0]).name == "torchrun":
            _exec_torchrun([*launcher[1:], *words])
        code, has_run = _run([*launcher, *words])
    except ValueError as error:
        raise InputError(f"{LAUNCH}: {command} is not a valid command line ({error}); {EXAMPLE}") from error
    except OSError as error:
        raise InputError(f"{LAUNCH}: {command} can't be started ({error.strerror}); {EXAMPLE}") from error
    if code == 0 and not has_run:
        raise InputError(f"{LAUNCH}: {command} ended without running the stage; {EXAMPLE}")
    sys.exit(code)


def _run(command: Sequence[str]) -> tuple[int, bool]:
    """Run a command to its end; return its exit code, and whether it has run the stage.

    SIGTERM is passed on to it; Ctrl-C reaches it by itself.
    """
    weights = Path("weights").absolute()  # machines that share files share this folder
    weights.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".launch-", dir=weights) as folder:
        marker = Path(folder) / "not-started"
        marker.touch()
        process = subprocess.Popen(command, env={**os.environ, _NOT_STARTED: str(marker)})
        signal.signal(signal.SIGINT, lambda number, frame: None)
        signal.signal(signal.SIGTERM, lambda number, frame: process.send_signal(number))
        code = process.wait()
        return code if code >= 0 else 128 - code, not marker.exists()
