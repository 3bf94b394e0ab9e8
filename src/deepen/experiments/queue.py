"""DVC's experiment queue: its tasks and their state, and its worker."""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from deepen.core.errors import InputError
from deepen.experiments.store import load_final_metrics

State = Literal["waits", "runs", "done", "failed"]
_REPORTED = re.compile(r"^(Running stage|Stage) 'report'", re.MULTILINE)


@dataclass(frozen=True)
class Task:
    """A queued experiment: `key` is unique, `name` need not be; `reference` is the git reference of its result."""

    key: str
    name: str
    state: State
    reference: str = ""


class Queue:
    """The queue of the DVC project in a folder; raises InputError if the folder has no DVC project."""

    def __init__(self, project: Path) -> None:
        from dvc.exceptions import DvcException
        from dvc.repo import Repo

        try:
            self._queue: Any = Repo(str(project)).experiments.celery_queue
        except DvcException as error:
            raise InputError(f"{project}: not a DVC project ({error}); change to the folder of your project") from error
        self._project = project

    def list_tasks(self) -> list[Task]:
        """Return all tasks that DVC keeps, also completed ones."""
        return list(self._iter_tasks())

    def _iter_tasks(self) -> Iterator[Task]:
        for entry in self._queue.iter_queued():
            yield _make_task(entry, "waits")
        for entry in self._queue.iter_active():
            yield _make_task(entry, "runs" if self._is_running(entry.stash_rev) else "failed")
        for entry, result in self._queue.iter_done():
            if result and result.exp_hash and result.ref_info:
                yield _make_task(entry, "done", str(result.ref_info))
            else:
                yield _make_task(entry, "failed")

    def has_worker(self) -> bool:
        """Return whether a worker runs; it may stop while experiments wait (treeverse/dvc issues 10398, 10428)."""
        return any(_is_alive(file) for file in Path(self._queue.wdir).glob("dvc-exp-worker-*.json"))

    def start_worker(self) -> None:
        """Start a worker unless one runs; raises InputError if that fails."""
        done = subprocess.run(["dvc", "queue", "start", "--quiet"], cwd=self._project, capture_output=True, text=True)
        if done.returncode:
            raise InputError(f"dvc queue start failed ({' '.join(done.stderr.split())[-300:]}); run it to see why")

    def read_top1(self, task: Task) -> float | None:
        """Return the top-1 (percent) of a completed task; None if it did not run the stage report."""
        folder = Path(self._queue.repo.tmp_dir, "exps", "run", task.key)
        try:
            if not _REPORTED.search((folder / f"{task.key}.out").read_text(encoding="utf-8", errors="replace")):
                return None
        except OSError:
            return None
        return load_final_metrics(self._project, task.reference).get("top1")

    def _is_running(self, key: str) -> bool:
        """Return whether an active task runs, in the worker or in the process that the worker started."""
        return self.has_worker() or _is_alive(Path(self._queue.pid_dir, key, f"{key}.json"))


def _make_task(entry: Any, state: State, reference: str = "") -> Task:
    return Task(entry.stash_rev, entry.name or entry.stash_rev[:7], state, reference)


def _is_alive(file: Path) -> bool:
    """Return whether the process that DVC describes in a file still runs."""
    try:
        info = json.loads(file.read_text(encoding="utf-8"))
        process = psutil.Process(info["pid"])
        began_before = process.create_time() <= file.stat().st_mtime + 1
        return info["returncode"] is None and began_before and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, KeyError, psutil.Error):
        return False
