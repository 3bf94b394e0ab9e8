"""`deepen queue`: run DVC's queued experiments and report each as it ends."""

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from deepen.cli.arguments import add_command, add_project
from deepen.core.counts import pluralize
from deepen.core.durations import format_duration
from deepen.core.entry_point import INTERRUPTED
from deepen.core.errors import InputError, Interrupted, quote, trim

if TYPE_CHECKING:
    from deepen.experiments.queue import Queue, Task

_SECONDS = 2.0  # between two polls
_POLLS = 5  # without an experiment before it counts as removed: DVC moves them between lists
_STARTS = 5  # of workers in a row that run nothing
_NAMES = 3  # listed in a message
_OPEN = ("waits", "runs")  # states of experiments that have not ended


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = add_command(
        commands,
        "queue",
        "run queued experiments and report progress",
        "Run the experiments queued by deepen exp --queue or dvc exp run --queue, one after the other. Print a line "
        "for each that ends: its top-1, how many are done, and the estimated time left. DVC workers that stop while "
        "experiments are waiting are restarted. Ctrl-C ends this command, but not the experiments.",
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
            "the experiments continue; deepen queue shows them again, dvc queue stop --kill ends them", INTERRUPTED
        ) from error


def run_queue(queue: "Queue", seconds: float = _SECONDS) -> None:
    """Run all queued experiments and report each that ends; raise InputError with those that failed."""
    progress, starts = _Progress(queue), 0
    while progress.update():
        if any(task.state == "runs" for task in progress.open):
            starts = 0
        elif not queue.has_worker():
            if starts == _STARTS:
                raise InputError(
                    f"DVC's worker exited {starts} times without running an experiment; dvc queue start -v shows why"
                )
            queue.start_worker()
            starts += 1
        time.sleep(seconds)
    progress.finish()


class _Progress:
    """The experiments that were queued or running since the start, and their progress."""

    def __init__(self, queue: "Queue") -> None:
        self._queue, self._started = queue, time.monotonic()
        self._known: dict[str, Task] = {}
        self._missing: Counter[str] = Counter()

    @property
    def open(self) -> list["Task"]:
        """The experiments that have not ended."""
        return [task for task in self._known.values() if task.state in _OPEN]

    def update(self) -> bool:
        """Read the queue and print what has changed; return whether any experiment has not ended."""
        current = {task.key: task for task in self._queue.list_tasks()}
        self._announce([task for task in current.values() if task.key not in self._known and task.state in _OPEN])
        for task in self.open:
            if task.key in current:
                self._report(current[task.key])
            elif self._missing[task.key] < _POLLS:
                self._missing[task.key] += 1
            else:
                del self._known[task.key]
                print(f"{quote(task.name)}: was removed from the queue; {self._format_progress()}", flush=True)
        return bool(self.open)

    def finish(self) -> None:
        """Raise InputError if any failed."""
        failed = [quote(task.name) for task in self._known.values() if task.state == "failed"]
        if failed:
            raise InputError(
                f"{len(failed)} of {pluralize(len(self._known), 'experiment')} failed: {_join_names(failed)}; "
                f"dvc queue logs {failed[0]} shows why"
            )
        if not self._known:
            print("the queue is empty; add experiments with deepen exp --queue")

    def _announce(self, new: list["Task"]) -> None:
        if new:
            count = pluralize(len(new), "more experiment" if self._known else "experiment")
            count += ", one after the other" * (len(new) > 1)
            print(
                f"{count}: {_join_names(sorted(quote(task.name) for task in new))}; deepen watch shows the training",
                flush=True,
            )
        self._known |= {task.key: task for task in new}

    def _report(self, task: "Task") -> None:
        self._known[task.key] = task
        self._missing.pop(task.key, None)
        if task.state in _OPEN:
            return
        if task.state == "failed":
            result = f"failed, dvc queue logs {quote(task.name)} shows why"
        else:
            top1 = self._queue.read_top1(task)
            result = "done" if top1 is None else f"top-1 {top1:.2f} %"
        print(f"{quote(task.name)}: {result}; {self._format_progress()}", flush=True)

    def _format_progress(self) -> str:
        left, ended = len(self.open), len(self._known) - len(self.open)
        seconds = (time.monotonic() - self._started) * left / max(1, ended)
        return f"{ended} of {len(self._known)} done" + (
            f", about {format_duration(seconds)} left" if left and ended else ""
        )


def _join_names(names: Sequence[str]) -> str:
    return ", ".join(trim(names, _NAMES))
