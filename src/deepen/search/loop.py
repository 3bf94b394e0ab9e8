"""Run the trials of a search one after the other, and print a line for each that ends."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NoReturn

from deepen.core.counts import pluralize
from deepen.core.durations import format_duration
from deepen.core.entry_point import INTERRUPTED
from deepen.core.errors import InputError, Interrupted, quote
from deepen.experiments.changes import apply_changes
from deepen.runtime.lock import hold_lock, read_lock_holder
from deepen.search.definition import SEARCHES
from deepen.search.optuna_study import Search, Trial, find_best
from deepen.search.table import describe_failure, describe_space, describe_values
from deepen.search.trainings import Trainings
from deepen.search.trials import Result, read_result, run_trial

_FAILURES = 3  # at the start, after which a search ends


def lock_search(folder: Path) -> AbstractContextManager[None]:
    """Hold the lock of a search; raises InputError if another process runs it."""

    def refuse(holder: str) -> NoReturn:
        raise InputError(f"{folder.name}: {holder}, runs this search already; wait until it ends")

    if holder := read_lock_holder(folder / "lock"):
        refuse(holder)
    return hold_lock(folder / "lock", refuse)


def run_search(name: str, search: Search, trainings: Trainings, trials: int) -> list[Trial]:
    """Run trials until there are so many, or all combinations are tried; return all that have ended.

    Raises InputError if the first trials fail or the validation images change, and Interrupted on Ctrl-C.
    """
    space = trainings.space
    wanted = int(min(trials, space.size))
    print("\n".join(["searching", *(f"  {line}" for line in describe_space(space))]), flush=True)
    progress = _Progress(name, wanted)
    while len(ended := [each for each in search.list_trials(space) if each.has_ended]) < wanted:
        seed = int(apply_changes(trainings.content, space.make_changes(space.first))["seed"])
        trial = search.propose(space, seed)
        try:
            result, why = _run(name, trial, trainings)
        except KeyboardInterrupt as error:
            done = f"{len(ended)} of {pluralize(wanted, 'trial')}"
            raise Interrupted(f"{name}: stopped after {done}; the same command continues", INTERRUPTED) from error
        _require_same_images(name, ended, result)
        search.store(trial, space, result, why)
        ended.append(Trial(trial.number, trial.values, result, why))
        progress.report(ended)
        _require_success(name, ended, wanted)
    return ended


def _run(name: str, trial: Trial, trainings: Trainings) -> tuple[Result | None, str]:
    """Return the result of a trial, from its experiment or by running it; without one, why it failed."""
    experiment, changes = f"{name}-{trial.number}", trainings.space.make_changes(trial.values)
    content = trainings.content
    if found := read_result(Path(), experiment, content, changes):
        return found, ""
    if faults := trainings.find_faults(trial.values):
        return None, "; ".join(faults)
    log = SEARCHES / name / f"{trial.number}.log"
    code = run_trial(Path(), experiment, changes, str(apply_changes(content, changes)["depth"]), log)
    found = read_result(Path(), experiment, content, changes)  # also if another process has run it meanwhile
    return found, "" if found else f"exit code {code}, {_read_error(log)}see {log}"


def _read_error(log: Path) -> str:
    """Return the last error of a stage in a log, for people; empty if there is none."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((f"{quote(line)[:300]}; " for line in reversed(lines) if line.startswith("error: ")), "")


def _require_success(name: str, ended: Sequence[Trial], wanted: int) -> None:
    if len(ended) >= min(_FAILURES, wanted) and all(each.why for each in ended):
        raise InputError(
            f"{name}: no trial of {len(ended)} succeeded, for the reasons above; correct the cause, then remove "
            f"{SEARCHES / name} to start over"
        )


def _require_same_images(name: str, ended: Sequence[Trial], result: Result | None) -> None:
    before = next((each.result for each in ended if each.result), None)
    if before and result and before.validation != result.validation:
        raise InputError(
            f"{name}: the validation images have changed since its first trial, so trials can't be compared; start "
            "another search, with another name"
        )


class _Progress:
    """The lines about trials that end, with the time left."""

    def __init__(self, name: str, wanted: int) -> None:
        self._name, self._wanted = name, wanted
        self._began, self._own = time.monotonic(), 0

    def report(self, ended: Sequence[Trial]) -> None:
        """Print a line: the values and result of the last trial, the best so far, and the estimated time left."""
        self._own += 1
        trial = ended[-1]
        outcome = _describe_outcome(self._name, ended)
        best = find_best(ended)
        leader = f"; best: {self._name}-{best.number}" if best and len(ended) > 1 else ""
        left = self._wanted - len(ended)
        seconds = (time.monotonic() - self._began) / self._own * left
        rest = f", about {format_duration(seconds)} left" if left else ""
        values = describe_values(trial.values)
        state = f"{len(ended)} of {self._wanted} done{rest}"
        print(f"{self._name}-{trial.number}: {values}: {outcome}{leader}; {state}", flush=True)


def _describe_outcome(name: str, ended: Sequence[Trial]) -> str:
    """Return the result of the last trial, or why it failed."""
    result = ended[-1].result
    return f"validation top-1 {result.top1:.2f} %" if result else f"failed, {describe_failure(name, ended)}"
