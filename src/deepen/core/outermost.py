"""What stands around a whole program: each way in which it can end is one line, and an exit code."""

import errno
import io
import os
import platform
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from deepen.core.errors import InputError, fault_lines, lacks_memory, printable

INTERRUPTED = 130  # as a shell has it for a process that Ctrl-C ended
AGAIN = "run it again"
_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free some space there"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "change its permissions"),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "raise the limit of open files (ulimit -n)"),
    errno.ENOMEM: "end what else runs here",
    errno.EIO: "see whether the disk is sound",
}


class Ended(SystemExit):
    """The end of the process: its exit `code`, and as its text what was printed of why."""

    def __init__(self, lines: Sequence[str], code: int) -> None:
        super().__init__("\n".join(lines))
        self.code = code


def guarded(
    function: Callable[[], object], *, debug: bool = False, must_finish: bool = False, again: str = AGAIN
) -> None:
    """Call a function; raises Ended where that goes wrong: with code 1 after an error, with 130 after Ctrl-C.

    What is wrong goes to standard error. An InputError is a line a fault. A lack of memory or disk, and a standard
    output that can't be written, are one line, which says to do what `again` says. That the reader of the output has
    gone away is an error only where the function `must_finish`. Anything else is a mistake of ours: one line, and the
    traceback in a file; with `debug`, the traceback of each of these.
    """
    with _one_interruption() as came:
        try:
            _must_have_streams()
            _written_out(function)
        except BrokenPipeError:  # as in `deepen predict ... | head`: what is left goes nowhere, also at the exit
            _drop_output()
            if must_finish:
                raise _ended([f"error: standard output was closed; {again}"], 1) from None
        except KeyboardInterrupt as error:
            raise _ended([str(error) or "interrupted"], getattr(error, "code", INTERRUPTED)) from error
        except Exception as error:
            if came():  # a library, perhaps in its import, made another error of Ctrl-C
                raise _ended(["interrupted"], INTERRUPTED) from error
            if debug:
                traceback.print_exc()
            raise _ended(_told(error, again, debug), 1) from error


@contextmanager
def _one_interruption() -> Iterator[Callable[[], bool]]:
    """Have the first Ctrl-C raise KeyboardInterrupt and a second end the process; gives whether the first has come.

    Where Ctrl-C has another handler already, that stays.
    """

    def raise_once(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    signal.signal(signal.SIGINT, raise_once)
    try:
        yield lambda: signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    finally:
        if signal.getsignal(signal.SIGINT) is raise_once:
            signal.signal(signal.SIGINT, before)


def _ended(lines: Sequence[str], code: int) -> Ended:
    """Say what is wrong on standard error; where that can't be written either, there is nobody to tell."""
    try:
        print(*lines, sep="\n", file=sys.stderr, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    return Ended(lines, code)


def _written_out(function: Callable[[], object]) -> None:
    """Call it, and have written what it printed, also where it ends as argparse does, by SystemExit."""
    try:
        function()
    except SystemExit:
        sys.stdout.flush()
        raise
    sys.stdout.flush()


def _must_have_streams() -> None:
    """Open what the caller closed, or files take its place; Python prints nothing, without a word, without an output.

    Names that the terminal's encoding lacks are escaped.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  # for as long as the process runs
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        raise InputError(f"standard output: is closed; give it a place, for example > result.txt, and {AGAIN}")
    if sys.stdout is sys.__stdout__ and isinstance(sys.stdout, io.TextIOWrapper):  # else a test or a notebook has it
        sys.stdout = _checked(sys.stdout)


class _Output(io.FileIO):
    """Standard output; raises InputError where it can't be written, which argparse does not pass over as an OSError."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            _drop_output()
            fault = f"standard output: can't be written ({error.strerror}); write to another place and {AGAIN}"
            raise InputError(fault) from error


def _checked(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Output(1, "w", closefd=False)),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.line_buffering or stream.write_through,
    )


def _told(error: BaseException, again: str, debug: bool) -> list[str]:
    if isinstance(error, InputError):
        return fault_lines(error)
    reason = printable(str(error))[:200]
    if lacks_memory(error):
        return [f"error: memory: there is too little ({reason or 'MemoryError'}); end what else runs here and {again}"]
    if isinstance(error, OSError) and error.errno in _REMEDIES:
        where = printable(str(error.filename or "a file"))
        return [f"error: {where}: {os.strerror(error.errno)}; {_REMEDIES[error.errno]} and {again}"]
    what = f"error: unexpected error: {type(error).__name__}: {reason}; please report this bug with "
    return [what + ("the traceback above" if debug else _reported(error))]


def _drop_output() -> None:
    """Have what is still to be printed go nowhere, or Python complains of it at the exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _reported(error: BaseException) -> str:
    """Write the traceback to a file of the system's temporary folder; returns what to say of it."""
    said = f"{' '.join(map(ascii, sys.argv))}\nPython {sys.version}, {platform.platform()}\n\n"
    said += "".join(traceback.format_exception(error))
    try:
        descriptor, path = tempfile.mkstemp(prefix="deepen-error-", suffix=".txt")
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(said)
    except OSError:  # no folder for it
        sys.stderr.write(said)
        return "the traceback above"
    return f"the file {path}"
