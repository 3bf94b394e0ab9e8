"""Sections of the GPU check: what each measures, run in a process of its own, row by row."""

import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.gpu.bench import Bench, Parts, Size, prepare
from deepen.core.counts import pluralize
from deepen.core.errors import is_out_of_memory
from deepen.runtime.device import OutOfMemory

Row = dict[str, Any]
Compute = Callable[[Bench], Iterator[Row]]


class SectionFailed(Exception):
    """A section that measured what it could, and found a fault; its text names the fault."""


def measure_row(row: Row, measure: Callable[[], Row]) -> Row:
    """Return a row with what `measure` finds or, if the device runs out of memory, with that `fault`."""
    try:
        return row | measure()
    except (MemoryError, RuntimeError, OutOfMemory) as error:
        if not isinstance(error, OutOfMemory) and not is_out_of_memory(error):
            raise
        return row | {"fault": (str(error).splitlines() or ["out of memory"])[0][:200]}


@dataclass(frozen=True)
class Section:
    """A table of the check, and the function that yields its rows.

    It is stopped after its `share` of the time of the whole check. That is a fault, unless it is `open_ended`: then it
    measures for as long as there is time.
    """

    name: str
    compute: Compute
    share: float = 0.4
    open_ended: bool = False


class Worker:
    """A process that computes sections and sends each row as it is found.

    A fault of CUDA leaves a process without a device, and a hang needs a kill: after either, a new process goes on.
    """

    def __init__(self, size: Size, parts: Parts, device: str) -> None:
        self._inputs = (size, parts, device)
        self._process: Any = None

    def run(self, section: Section, keep: Callable[[Row], None], seconds: float) -> str:
        """Compute a section and `keep` each row; return the fault, or an empty text. Stop it after `seconds`."""
        if self._process is None:
            self._start()
        end = time.monotonic() + seconds
        fault = "" if section.open_ended else f"stopped after {seconds:.0f} seconds; give it more with --seconds"
        try:
            self._connection.send(section)
            while self._connection.poll(max(0.0, end - time.monotonic())):
                kind, content = self._connection.recv()
                if kind == "end":
                    return str(content)
                keep(content)
        except (EOFError, OSError):
            self._process.join(5)
            fault = f"the process ended with code {self._process.exitcode}"
        self._kill()
        return fault

    def stop(self) -> None:
        """End the process, which ends by itself once it is asked for nothing more."""
        if self._process is not None:
            self._connection.close()
            self._process.join(10)
            self._kill()

    def _kill(self) -> None:
        self._process.kill()
        self._process.join()
        self._connection.close()
        self._process = None

    def _start(self) -> None:
        spawn = get_context("spawn")
        self._connection, other = spawn.Pipe()
        self._process = spawn.Process(target=serve, args=(other, *self._inputs))
        self._process.start()
        other.close()


def serve(connection: Connection, size: Size, parts: Parts, device: str) -> None:
    """Compute the sections that are asked for, until the other end closes."""
    bench = prepare(size, parts, device)
    while True:
        try:
            section = connection.recv()
        except EOFError:
            return
        connection.send(("end", _compute(section, bench, connection)))


def _compute(section: Section, bench: Bench, connection: Connection) -> str:
    rows = faults = 0
    try:
        for row in section.compute(bench):
            connection.send(("row", row))
            rows, faults = rows + 1, faults + ("fault" in row)
    except SectionFailed as error:
        return str(error)
    except Exception as error:
        traceback.print_exc()
        return f"{type(error).__name__}: {error}".splitlines()[0][:300]
    return f"{faults} of {pluralize(rows, 'row')} ran out of memory" if faults else ""
