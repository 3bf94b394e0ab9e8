"""A run in Weights & Biases: on its server, or in wandb/ if WANDB_MODE is offline."""

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import wandb

from deepen.tracking.run import Outcome, Row, Run, Scalar

_SECONDS = 30  # to wait for the server, when a run is opened
_CODE: Mapping[Outcome, int] = {"finished": 0, "interrupted": 130, "failed": 1}


class WandbRun(Run):
    """A run of a project, which is named after the project's folder unless WANDB_PROJECT is set."""

    def __init__(self, project: Path, name: str, id: str | None) -> None:
        title = os.environ.get("WANDB_PROJECT") or re.sub(r"[^\w.-]+", "-", project.resolve().name)[:128]
        settings = wandb.Settings(silent=True, console="off", init_timeout=_SECONDS)
        with _without_questions():
            self._run = wandb.init(
                project=title, name=name, id=id, dir=str(project.resolve()), resume="allow", settings=settings
            )
        self.id, self.is_new = self._run.id, id is None

    def log_settings(self, settings: Mapping[str, Scalar]) -> None:
        self._run.config.update(dict(settings))

    def count_epochs(self, known: int) -> int:
        """Return the epochs known on this machine: a run that was written offline can't be read."""
        return known

    def log_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        self._run.log(dict(metrics), step=epoch, commit=True)

    def log_results(self, epoch: int, metrics: Mapping[str, float], settings: Mapping[str, Scalar]) -> None:
        self._run.summary.update(dict(metrics))

    def log_table(self, name: str, rows: Sequence[Row], text: str, epoch: int) -> None:
        """Store an artifact: a step of the history would have to follow those that other processes wrote."""
        columns = list(rows[0])
        artifact = wandb.Artifact(f"{name}-table-{self.id}", type="table")
        artifact.add(wandb.Table(columns=columns, data=[[row.get(column) for column in columns] for row in rows]), name)
        self._run.log_artifact(artifact)

    def log_file(self, path: Path, kind: str) -> None:
        self._run.log_artifact(str(path), name=f"{kind}-{self.id}", type="model" if kind == "weights" else kind)

    def close(self, outcome: Outcome) -> None:
        self._run.finish(exit_code=_CODE[outcome])


@contextmanager
def _without_questions() -> Iterator[None]:
    """Close standard input: without a login, wandb would ask for one and wait for the answer."""
    before = sys.stdin
    with open(os.devnull, encoding="utf-8") as empty:
        sys.stdin = empty
        try:
            yield
        finally:
            sys.stdin = before
