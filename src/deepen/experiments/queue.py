"""DVC's queue of experiments: what is in it, and the worker that runs it."""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from deepen.core.errors import InputError
from deepen.experiments.store import final_metrics

State = Literal["waits", "runs", "done", "failed"]
_REPORTED = re.compile(r"^(Running stage|Stage) 'report'", re.MULTILINE)


@dataclass(frozen=True)
class Task:
    """An experiment that was queued: `key` tells it from others of its `name`, `reference` is the commit it became."""

    key: str
    name: str
    state: State
    reference: str = ""


class Queue:
    """The queue of the project in a folder; raises InputError where DVC is not at work there."""

    def __init__(self, project: Path) -> None:
        from dvc.exceptions import DvcException
        from dvc.repo import Repo

        try:
            self._queue: Any = Repo(str(project)).experiments.celery_queue
        except DvcException as error:
            raise InputError(f"{project}: is not a project of DVC ({error}); change to its folder") from error
        self._project = project

    def tasks(self) -> list[Task]:
        """All that are known, also those of earlier queues."""
        return list(self._tasks())

    def _tasks(self) -> Iterator[Task]:
        for entry in self._queue.iter_queued():
            yield _task(entry, "waits")
        for entry in self._queue.iter_active():
            yield _task(entry, "runs" if self._is_at_work(entry.stash_rev) else "failed")
        for entry, result in self._queue.iter_done():
            if result and result.exp_hash and result.ref_info:
                yield _task(entry, "done", str(result.ref_info))
            else:
                yield _task(entry, "failed")

    def has_worker(self) -> bool:
        """Whether a worker lives; one may stop while experiments wait (treeverse/dvc issues 10398, 10428)."""
        return any(_lives(file) for file in Path(self._queue.wdir).glob("dvc-exp-worker-*.json"))

    def start_worker(self) -> None:
        """Have DVC start one, unless it finds one; raises InputError where it fails."""
        done = subprocess.run(["dvc", "queue", "start", "--quiet"], cwd=self._project, capture_output=True, text=True)
        if done.returncode:
            raise InputError(f"dvc queue start: failed ({' '.join(done.stderr.split())[-300:]}); run it to see why")

    def top1(self, task: Task) -> float | None:
        """Of a task that is done: the top-1 in percent that its `report` wrote; None where that was not asked for."""
        folder = Path(self._queue.repo.tmp_dir, "exps", "run", task.key)
        try:
            if not _REPORTED.search((folder / f"{task.key}.out").read_text(encoding="utf-8", errors="replace")):
                return None
        except OSError:
            return None
        return final_metrics(self._project, task.reference).get("top1")

    def _is_at_work(self, key: str) -> bool:
        """Whether an experiment that a worker took lives on: with its worker, or in the process that this started."""
        return self.has_worker() or _lives(Path(self._queue.pid_dir, key, f"{key}.json"))


def _task(entry: Any, state: State, reference: str = "") -> Task:
    return Task(entry.stash_rev, entry.name or entry.stash_rev[:7], state, reference)


def _lives(file: Path) -> bool:
    """Whether the process that DVC describes in a file is still that process."""
    try:
        described = json.loads(file.read_text(encoding="utf-8"))
        process = psutil.Process(described["pid"])
        began_before = process.create_time() <= file.stat().st_mtime + 1
        return described["returncode"] is None and began_before and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, KeyError, psutil.Error):
        return False
