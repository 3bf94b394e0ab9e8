"""torchrun, which says in one line what ended a process, and nothing where the stage itself has said it."""

import logging
import signal
import sys
from collections.abc import Iterator

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main

from pipeline.shared.stage import COMMAND

EXAMPLE = "DEEPEN_LAUNCH='torchrun --standalone --nproc-per-node 2'"


def launch() -> None:
    """Start the processes that the command line says; raises SystemExit unless all of them end well."""
    logging.disable(logging.ERROR)  # in this process alone
    try:
        main()
    except (ValueError, AssertionError) as error:
        reason = " ".join(str(error).split()) or "an invalid number of processes or nodes"
        sys.exit(f"error: DEEPEN_LAUNCH: torchrun can't start ({reason}); write for example {EXAMPLE}")
    except SignalException as stopped:  # each process tells of it
        sys.exit(128 + int(stopped.sigval))
    except ChildFailedError as failed:
        for line in _told(failed):
            print(line, file=sys.stderr)
        sys.exit(1)


def _told(failed: ChildFailedError) -> Iterator[str]:
    """A line for each process that a signal ended; what ended otherwise has told its own error."""
    for rank, failure in failed.failures.items():
        if failure.exitcode < 0 and failure.exitcode != -signal.SIGTERM:  # which torchrun sends to the others
            what = f"the process of rank {rank} was ended by {signal.Signals(-failure.exitcode).name}"
            yield f"error: {what}; see whether memory is short, and run {COMMAND} again"


if __name__ == "__main__":
    launch()
