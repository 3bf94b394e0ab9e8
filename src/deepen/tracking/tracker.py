"""Log a model to a tracker: open its run, log what the run lacks, and never let a failure stop the stage."""

import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from tqdm import tqdm

from deepen.config.settings import Tracking
from deepen.core.errors import Interrupted, escape_unprintable
from deepen.core.notes import print_warnings
from deepen.core.wording import describe_cause
from deepen.records.history import Epoch
from deepen.tracking.link import Link, Links
from deepen.tracking.packages import require_packages
from deepen.tracking.run import ACCURACY, Outcome, Row, Run, Scalar


class Tracker:
    """A context with the run of one model, on one process; with `none` each method does nothing.

    The first failure is a warning, and after it nothing more is logged. A training that resumes continues its run, and
    epochs that the run already has are not logged again. `folder` is the one with the links of trainings to runs.
    """

    def __init__(self, tracking: Tracking, project: Path, folder: Path, model: str) -> None:
        self._tracking, self._project, self._model = tracking, project, model
        self._links = Links(folder, tracking)
        self._run: Run | None = None
        self._training, self._link = "", Link("")
        self._works = tracking != "none"

    @property
    def is_new(self) -> bool:
        """Whether the run that is open was made by this process."""
        return self._run is not None and self._run.is_new

    def open(self, training: str, settings: Mapping[str, Scalar], history: Sequence[Epoch]) -> None:
        """Open the run of a training, and log the epochs of its history that the run lacks.

        A training from the start gets a new run if an earlier one with the same key ended.
        """
        self._try(lambda: self._open(training, settings, history))

    def open_trained(self, weights: str, settings: Mapping[str, Scalar], history: Sequence[Epoch], file: Path) -> None:
        """Open the run of trained weights by their checksum, or make one, with the weights `file` and the history."""

        def open_run() -> None:
            training = self._links.find_training(weights)
            self._open(training or f"{self._model}-{weights[:12]}", settings, history)
            if self.is_new:
                self._log_weights(weights, file)

        self._try(open_run)

    def _open(self, training: str, settings: Mapping[str, Scalar], history: Sequence[Epoch]) -> None:
        known = self._links.load(training)
        if known and known.weights and not history:
            known = None
        self._run = run = open_run(self._tracking, self._project, self._model, known.run if known else None)
        self._training, self._link = training, Link(run.id) if run.is_new or not known else known
        self._links.save(training, self._link)
        if run.is_new:
            run.log_settings(settings)
        self._link = replace(self._link, epochs=run.count_epochs(self._link.epochs))
        for row in history:
            self._log_epoch(row)

    def log_epoch(self, row: Epoch) -> None:
        """Log an epoch unless the run has it."""
        self._try(lambda: self._log_epoch(row))

    def _log_epoch(self, row: Epoch) -> None:
        if row.epoch <= self._link.epochs:
            return
        losses = {"training/loss": row.loss, "training/lr": row.lr, "validation/loss": row.val_loss}
        self._get_run().log_epoch(row.epoch, losses | {ACCURACY: row.val_top1})
        self._save_link(epochs=row.epoch)

    def log_weights(self, weights: str, file: Path) -> None:
        """Log the trained weights, by their checksum and their file; evaluation finds the run by the checksum."""
        self._try(lambda: self._log_weights(weights, file))

    def _log_weights(self, weights: str, file: Path) -> None:
        self._save_link(weights=weights)
        self._get_run().log_file(file, "weights")

    def _save_link(self, **changes: int | str) -> None:
        self._link = replace(self._link, **changes)  # type: ignore[arg-type]
        self._links.save(self._training, self._link)

    def log_results(self, metrics: Mapping[str, float], settings: Mapping[str, Scalar]) -> None:
        """Log metrics of the trained model."""
        self._try(lambda: self._get_run().log_results(self._link.epochs, metrics, settings))

    def log_table(self, name: str, rows: Sequence[Row], text: str) -> None:
        """Log a table, given as rows and as Markdown."""
        self._try(lambda: self._get_run().log_table(name, rows, text, self._link.epochs))

    def log_file(self, path: Path, kind: str) -> None:
        """Log a file."""
        self._try(lambda: self._get_run().log_file(path, kind))

    def _get_run(self) -> Run:
        if self._run is None:
            raise RuntimeError("no run is open")
        return self._run

    def _try(self, log: Callable[[], None]) -> None:
        """Call a tracker; report its first failure, and call it no more."""
        if not self._works:
            return
        try:
            with warnings.catch_warnings(action="ignore"):  # about the tracker's internals
                log()
        except Exception as error:
            self._works = False
            rest = "nothing more of this stage is logged there; its results are not affected"
            warning = f"{self._model}: tracking: {self._tracking} failed ({_describe(error)}); {rest}"
            with tqdm.external_write_mode(file=sys.stderr):  # clears a progress bar meanwhile
                print_warnings([warning])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        outcome: Outcome = "finished" if kind is None else "interrupted" if kind is Interrupted else "failed"
        if (run := self._run) is not None:
            self._try(lambda: run.close(outcome))


def open_run(tracking: Tracking, project: Path, model: str, id: str | None) -> Run:
    """Open a run by its id, or make one; each tracker's packages are imported only here."""
    require_packages(tracking)
    experiment = os.environ.get("DVC_EXP_NAME")
    name = f"{experiment}-{model}" if experiment else model
    match tracking:
        case "tensorboard":
            from deepen.tracking.tensorboard_run import TensorBoardRun

            return TensorBoardRun(project, name, id)
        case "mlflow":
            from deepen.tracking.mlflow_run import MlflowRun

            return MlflowRun(project, name, id)
        case "wandb":
            from deepen.tracking.wandb_run import WandbRun

            return WandbRun(project, name, id)
    raise ValueError(tracking)


def _describe(error: Exception) -> str:
    """Return what a library says, on one line; its exceptions are not about files of this project."""
    text = escape_unprintable(" ".join(str(error).split()))[:300]
    return text or describe_cause(error)
