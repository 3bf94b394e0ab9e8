"""How SIGINT and SIGTERM end a stage: with one line that says what resumes it.

It imports only what each Python process has imported already, and `pipeline` imports it before anything else: a signal
that comes during the imports is answered too.
"""

import os
import sys

# of which `signal` is made: that imports `enum`, which takes 5 ms
from _signal import SIGINT, SIGTERM, signal  # type: ignore[import-not-found]

IS_STAGE = any(word.startswith(("pipeline.", "study.")) for word in sys.orig_argv)  # not a test or a notebook
IS_RANK_0 = os.environ.get("RANK", "0") == "0"  # only rank 0 prints messages that all processes share
# The command to run again, for messages: DVC sets this variable for the stages of an experiment.
COMMAND = "the same dvc exp run" if "DVC_EXP_BASELINE_REV" in os.environ else "dvc repro"
STOPPED = f"stopped; {COMMAND} resumes this stage"


def _stop_at_once(number: int, frame: object) -> None:
    """Exit during the imports, where an exception would appear as a library's error."""
    try:
        if IS_RANK_0:
            os.write(2, f"{STOPPED}\n".encode())
    finally:
        os._exit(128 + number)


if IS_STAGE:
    for _number in (SIGINT, SIGTERM):
        signal(_number, _stop_at_once)
