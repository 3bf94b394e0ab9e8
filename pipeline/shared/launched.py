"""Run torchrun without its tracebacks: one line for a process that a signal ended; stages report their own errors."""

import logging
import signal
import sys
from collections.abc import Iterator

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main

from pipeline.shared.stage import COMMAND
from pipeline.shared.together import EXAMPLE, LAUNCH


def launch() -> None:
    """Run torchrun with the arguments of the command line; raises SystemExit unless all processes succeed."""
    logging.disable(logging.ERROR)  # in this process alone
    try:
        main()
    except (ValueError, AssertionError) as error:
        reason = " ".join(str(error).split()) or "an invalid number of processes or nodes"
        sys.exit(f"error: {LAUNCH}: torchrun can't start ({reason}); {EXAMPLE}")
    except SignalException as stopped:  # each process reports it
        sys.exit(128 + int(stopped.sigval))
    except ChildFailedError as failed:
        for line in _describe_signals(failed):
            print(line, file=sys.stderr)
        sys.exit(1)


def _describe_signals(failed: ChildFailedError) -> Iterator[str]:
    """Yield an error for each process that a signal ended; the others have reported their own."""
    for rank, failure in failed.failures.items():
        if failure.exitcode < 0 and failure.exitcode != -signal.SIGTERM:  # torchrun sends it to the other processes
            what = f"the process of rank {rank} was ended by {signal.Signals(-failure.exitcode).name}"
            remedy = "check whether the machine ran out of memory, unless an error above says why"
            yield f"error: {what}; {remedy}; run {COMMAND} again"


if __name__ == "__main__":
    launch()
