"""`deepen queue`: the experiments that wait in DVC's queue, run one after the other, a line for each that ends."""

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from deepen.cli.words import add_command, add_project
from deepen.core.counts import counted
from deepen.core.durations import format_duration
from deepen.core.entry_point import INTERRUPTED
from deepen.core.errors import InputError, Interrupted, plain, some

if TYPE_CHECKING:
    from deepen.experiments.queue import Queue, Task

_SECONDS = 2.0  # between two looks
_LOOKS = 5  # at which an experiment is missing before it counts as removed: DVC moves them from list to list
_STARTS = 5  # of workers, one after the other, of which none runs anything
_NAMES = 3  # that are listed


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = add_command(
        commands,
        "queue",
        "run the queued experiments, and tell how far they are",
        "Run the experiments that deepen exp --queue or dvc exp run --queue put into the queue, one after the other. A "
        "line tells of each that ends: its top-1, how many are done, and about how long the others take. Workers of "
        "DVC that stop while experiments wait are started again. Ctrl-C ends this command alone.",
        ["deepen exp --queue -S lr=0.01,0.02 && deepen queue"],
    )
    add_project(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from deepen.experiments.queue import Queue

    queue = Queue(options.project)
    try:
        run_queue(queue)
    except KeyboardInterrupt as error:
        raise Interrupted(
            "the experiments go on; deepen queue looks on again, dvc queue stop --kill ends them", INTERRUPTED
        ) from error


def run_queue(queue: "Queue", seconds: float = _SECONDS) -> None:
    """See that all that is queued is run, and tell of each that ends; raises InputError with those that failed."""
    progress, starts = _Progress(queue), 0
    while progress.look():
        if any(task.state == "runs" for task in progress.open):
            starts = 0
        elif not queue.has_worker():
            if starts == _STARTS:
                raise InputError(f"DVC's worker ended {starts} times and ran nothing; dvc queue start -v shows why")
            queue.start_worker()
            starts += 1
        time.sleep(seconds)
    progress.end()


class _Progress:
    """What is known of the experiments that waited or ran since this began."""

    def __init__(self, queue: "Queue") -> None:
        self._queue, self._began = queue, time.monotonic()
        self._known: dict[str, Task] = {}
        self._missing: Counter[str] = Counter()

    @property
    def open(self) -> list["Task"]:
        """Those that have not ended."""
        return [task for task in self._known.values() if task.state in _OPEN]

    def look(self) -> bool:
        """Take note of what has changed, and print it; whether any is open."""
        now = {task.key: task for task in self._queue.tasks()}
        self._announce([task for task in now.values() if task.key not in self._known and task.state in _OPEN])
        for task in self.open:
            if task.key in now:
                self._note(now[task.key])
            elif self._missing[task.key] < _LOOKS:
                self._missing[task.key] += 1
            else:
                del self._known[task.key]
                print(f"{plain(task.name)}: was removed from the queue; {self._how_far()}", flush=True)
        return bool(self.open)

    def end(self) -> None:
        """Raise InputError where any failed."""
        failed = [plain(task.name) for task in self._known.values() if task.state == "failed"]
        if failed:
            raise InputError(
                f"{len(failed)} of {counted(len(self._known), 'experiment')} failed: {_listed(failed)}; "
                f"dvc queue logs {failed[0]} shows why"
            )
        if not self._known:
            print("the queue is empty; deepen exp --queue puts experiments there")

    def _announce(self, new: list["Task"]) -> None:
        if new:
            what = counted(len(new), "more experiment" if self._known else "experiment")
            what += ", one after the other" * (len(new) > 1)
            print(
                f"{what}: {_listed(sorted(plain(task.name) for task in new))}; deepen watch shows what trains",
                flush=True,
            )
        self._known |= {task.key: task for task in new}

    def _note(self, task: "Task") -> None:
        self._known[task.key] = task
        self._missing.pop(task.key, None)
        if task.state in _OPEN:
            return
        if task.state == "failed":
            what = f"failed, dvc queue logs {plain(task.name)} shows why"
        else:
            top1 = self._queue.top1(task)
            what = "done" if top1 is None else f"top-1 {top1:.2f} %"
        print(f"{plain(task.name)}: {what}; {self._how_far()}", flush=True)

    def _how_far(self) -> str:
        left, ended = len(self.open), len(self._known) - len(self.open)
        seconds = (time.monotonic() - self._began) * left / max(1, ended)
        return f"{ended} of {len(self._known)} done" + (
            f", about {format_duration(seconds)} left" if left and ended else ""
        )


_OPEN = ("waits", "runs")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(some(names, _NAMES))
