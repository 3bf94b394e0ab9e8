"""Run a stage in several processes, started by the command in the environment variable DEEPEN_LAUNCH.

It is not a setting in params.yaml, because it changes where a stage runs and not what it computes.
"""

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from deepen.config.settings import load_settings
from deepen.core.errors import InputError
from deepen.runtime.group import Group
from pipeline.shared.stage import run

LAUNCH = "DEEPEN_LAUNCH"
EXAMPLE = f"write for example {LAUNCH}='torchrun --standalone --nproc-per-node 2'"


def run_together(stage: Callable[[str, Group], None], module: str) -> None:
    """Call a stage of a model as `run` does, in the processes that DEEPEN_LAUNCH starts if it is set."""
    command = os.environ.pop(LAUNCH, "")  # removed, so that the started processes do not launch again

    def launch(name: str) -> None:
        _exec_launcher(command, module, name)

    def call(name: str) -> None:
        group = Group()  # first, so that the processes can agree on which of them reports an error
        with group.report_once():
            stage(name, group)

    run(launch if command.strip() else call)


def _quietly(launcher: list[str]) -> list[str]:
    """Return the launcher, torchrun without its traceback, which would follow each error that a stage reports."""
    ours = [sys.executable, "-m", "pipeline.shared.launched"]
    return [*ours, *launcher[1:]] if Path(launcher[0]).name == "torchrun" else launcher


def _exec_launcher(command: str, module: str, name: str) -> None:
    """Replace this process by the launcher; raises InputError if it cannot be started."""
    settings = load_settings()  # reports invalid settings once, not in each process
    settings.require_model(name)
    os.environ.setdefault("OMP_NUM_THREADS", str(settings.cpu_threads))  # else torchrun sets it and warns
    # With a shared store, restarted processes find the addresses of the earlier ones in it
    # (pytorch/pytorch issue 135712).
    os.environ.setdefault("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
    try:
        launcher = _quietly(shlex.split(command))
        sys.stdout.flush()
        os.execvp(launcher[0], [*launcher, "-m", module, name])
    except ValueError as error:
        raise InputError(f"{LAUNCH}: {command} is not a valid command line ({error}); {EXAMPLE}") from error
    except OSError as error:
        raise InputError(f"{LAUNCH}: {command} can't be started ({error.strerror}); {EXAMPLE}") from error
