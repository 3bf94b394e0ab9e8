"""A stage in several processes: DEEPEN_LAUNCH, an environment variable, says what starts them.

It is no setting in params.yaml, since it says where a stage runs and not what it computes.
"""

import os
import shlex
import sys
from collections.abc import Callable

from deepen.config.settings import load_settings
from deepen.core.errors import InputError
from pipeline.shared.stage import run

LAUNCH = "DEEPEN_LAUNCH"
_EXAMPLE = f"write for example {LAUNCH}='torchrun --standalone --nproc-per-node 2'"


def run_together(stage: Callable[..., None], module: str) -> None:
    """Call a stage as `run` does, in the processes that DEEPEN_LAUNCH starts where it is set."""
    command = os.environ.pop(LAUNCH, "")  # not for those processes: each of them is one of several already
    run((lambda *words: _become(command, module, words)) if command.strip() else stage)


def _quietly(launcher: list[str]) -> list[str]:
    """The same; torchrun without its traceback, which follows each error that a stage has told."""
    ours = [sys.executable, "-m", "pipeline.shared.launched"]
    return [*ours, *launcher[1:]] if launcher[0] == "torchrun" else launcher


def _become(command: str, module: str, words: tuple[str, ...]) -> None:
    """Have this process become what starts the others; returns only by raising InputError."""
    settings = load_settings()  # what is wrong with them is told once, and not by each process
    os.environ.setdefault("OMP_NUM_THREADS", str(settings.cpu_threads))  # or torchrun warns that it sets it
    # Where processes that are started again share the store of the former, they find the former's addresses there
    # (pytorch/pytorch issue 135712).
    os.environ.setdefault("TORCH_DISABLE_SHARE_RDZV_TCP_STORE", "1")
    try:
        launcher = _quietly(shlex.split(command))
        sys.stdout.flush()
        os.execvp(launcher[0], [*launcher, "-m", module, *words])
    except ValueError as error:
        raise InputError(f"{LAUNCH}: {command} is no command line ({error}); {_EXAMPLE}") from error
    except OSError as error:
        raise InputError(f"{LAUNCH}: {command} can't be started ({error.strerror}); {_EXAMPLE}") from error
