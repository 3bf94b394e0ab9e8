"""Run a program's main function: report any error in one line, and set the exit code."""

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

from deepen.core.ctrl_c import INTERRUPTED as INTERRUPTED
from deepen.core.ctrl_c import exit_at_once
from deepen.core.errors import InputError, escape_unprintable, format_faults, is_out_of_memory

AGAIN = "run it again"
_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free some disk space"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "change its permissions"),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "raise the limit of open files (ulimit -n)"),
    errno.ENOMEM: "close other programs",
    errno.EIO: "check the disk",
}


class ProgramExit(SystemExit):
    """The end of the process: its exit `code` and, as its text, the printed error."""

    def __init__(self, lines: Sequence[str], code: int) -> None:
        super().__init__("\n".join(lines))
        self.code = code


def run_program(
    function: Callable[[], object], *, debug: bool = False, must_finish: bool = False, again: str = AGAIN
) -> None:
    """Call a function; raises ProgramExit with code 1 after an error, with 130 after Ctrl-C.

    Errors go to standard error. An InputError prints a line for each fault. Out of memory, a full disk and a standard
    output that can't be written print one line, which ends with `again`. A broken pipe is an error only if the function
    `must_finish`. Anything else is a bug: one line, and the traceback in a file. `debug` prints all tracebacks.
    """
    with _handle_first_interruption() as was_interrupted:
        try:
            _ensure_streams()
            _call_and_flush(function)
        except BrokenPipeError:  # as in `deepen predict ... | head`: discard the rest, also at exit
            _discard_output()
            if must_finish:
                raise _report_exit([f"error: standard output was closed; {again}"], 1) from None
        except KeyboardInterrupt as error:
            raise _report_exit([str(error) or "interrupted"], getattr(error, "code", INTERRUPTED)) from error
        except Exception as error:
            if was_interrupted():  # a library turned Ctrl-C into another error
                raise _report_exit(["interrupted"], INTERRUPTED) from error
            if debug:
                traceback.print_exc()
            raise _report_exit(_format_error(error, again, debug), 1) from error


@contextmanager
def _handle_first_interruption() -> Iterator[Callable[[], bool]]:
    """Have the first Ctrl-C raise KeyboardInterrupt and a second end the process; yield whether the first has come.

    A handler that is already installed for Ctrl-C stays, except that of the imports.
    """

    def raise_once(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    is_ours = before in (signal.default_int_handler, exit_at_once)
    if not is_ours or threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    signal.signal(signal.SIGINT, raise_once)
    try:
        yield lambda: signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    finally:
        if signal.getsignal(signal.SIGINT) is raise_once:
            signal.signal(signal.SIGINT, before)


def _report_exit(lines: Sequence[str], code: int) -> ProgramExit:
    """Print an error to standard error, unless that can't be written either; return the exception to raise."""
    try:
        print(*lines, sep="\n", file=sys.stderr, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    return ProgramExit(lines, code)


def _call_and_flush(function: Callable[[], object]) -> None:
    """Call the function, then flush standard output, also after SystemExit, by which argparse ends."""
    try:
        function()
    except SystemExit:
        sys.stdout.flush()
        raise
    sys.stdout.flush()


def _ensure_streams() -> None:
    """Reopen closed standard streams, so that no file gets their descriptors; raise InputError for standard output.

    Characters that the terminal's encoding lacks are escaped.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free descriptor
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  # for as long as the process runs
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        raise InputError(f"standard output: is closed; redirect it, for example > result.txt, and {AGAIN}")
    if sys.stdout is sys.__stdout__ and isinstance(
        sys.stdout, io.TextIOWrapper
    ):  # not if a test or a notebook has replaced it
        sys.stdout = _check_writes(sys.stdout)


class _Output(io.FileIO):
    """Standard output; raises InputError if it can't be written, since argparse ignores an OSError."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            _discard_output()
            fault = f"standard output: can't be written ({error.strerror}); write to another path and {AGAIN}"
            raise InputError(fault) from error


def _check_writes(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Output(1, "w", closefd=False)),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.line_buffering or stream.write_through,
    )


def _format_error(error: BaseException, again: str, debug: bool) -> list[str]:
    if isinstance(error, InputError):
        return format_faults(error)
    reason = escape_unprintable(str(error))[:200]
    if is_out_of_memory(error):
        return [f"error: out of memory ({reason or 'MemoryError'}); close other programs and {again}"]
    if isinstance(error, OSError) and error.errno in _REMEDIES:
        where = escape_unprintable(str(error.filename or "a file"))
        return [f"error: {where}: {os.strerror(error.errno)}; {_REMEDIES[error.errno]} and {again}"]
    line = f"error: unexpected error: {type(error).__name__}: {reason}; please report this bug with "
    return [line + ("the traceback above" if debug else _save_traceback(error))]


def _discard_output() -> None:
    """Discard further output; else Python reports an error at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _save_traceback(error: BaseException) -> str:
    """Write the traceback to a file in the system's temporary folder; return where it is, for the message."""
    text = f"{' '.join(map(ascii, sys.argv))}\nPython {sys.version}, {platform.platform()}\n\n"
    text += "".join(traceback.format_exception(error))
    try:
        descriptor, path = tempfile.mkstemp(prefix="deepen-error-", suffix=".txt")
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:  # no writable temporary folder
        sys.stderr.write(text)
        return "the traceback above"
    return f"the file {path}"
