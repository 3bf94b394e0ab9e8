"""torchrun, which says in one line what ended a process, and nothing where the stage itself has said it."""

import os
import signal
import sys
from collections.abc import Iterator

os.environ.setdefault("LOGLEVEL", "CRITICAL")  # of torchrun's loggers, which read it as they are imported

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main

from pipeline import COMMAND


def launch() -> None:
    """Start the processes that the command line says; raises SystemExit unless all of them end well."""
    try:
        main()
    except SignalException as stopped:  # each process tells of it
        sys.exit(128 + int(stopped.sigval))
    except ChildFailedError as failed:
        print(*_told(failed), sep="\n", end="", file=sys.stderr)
        sys.exit(1)


def _told(failed: ChildFailedError) -> Iterator[str]:
    """A line for each process that a signal ended; what ended otherwise has told its own error."""
    for rank, failure in failed.failures.items():
        if failure.exitcode < 0 and failure.exitcode != -signal.SIGTERM:  # which torchrun sends to the others
            what = signal.Signals(-failure.exitcode).name
            yield f"error: the process of rank {rank} was ended by {what}; see whether memory is short, and run {COMMAND} again\n"


if __name__ == "__main__":
    launch()
