"""A run in MLflow: on the server of MLFLOW_TRACKING_URI, or in a database in mlruns/."""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read at import
# A server that does not respond delays a training by a minute at most, and not by MLflow's default of many.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")

from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.entities import Run as Entity
from mlflow.exceptions import MlflowException

from deepen.tracking.run import ACCURACY, Outcome, Row, Run, Scalar

FOLDER = "mlruns"
_STATUS: Mapping[Outcome, str] = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}


class MlflowRun(Run):
    """A run of an experiment, which is named after the project's folder unless MLFLOW_EXPERIMENT_NAME is set."""

    def __init__(self, project: Path, name: str, id: str | None) -> None:
        for library in ("mlflow", "alembic"):
            logging.getLogger(library).setLevel(logging.ERROR)
        local = (project / FOLDER).resolve()
        self._server = os.environ.get("MLFLOW_TRACKING_URI")
        if not self._server:
            local.mkdir(parents=True, exist_ok=True)
        self._client = MlflowClient(self._server or f"sqlite:///{local}/mlflow.db")
        run = self._find(id) if id else None
        self.is_new = run is None
        experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME") or project.resolve().name
        self.id = (run or self._create(experiment, name, local)).info.run_id

    def _find(self, id: str) -> Entity | None:
        """Return a run, set to running again; None if it was deleted, or belongs to another server."""
        try:
            run = self._client.get_run(id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        if run.info.lifecycle_stage != "active":
            return None
        self._client.update_run(id, status="RUNNING")
        return run

    def _create(self, experiment: str, name: str, local: Path) -> Entity:
        known = self._client.get_experiment_by_name(experiment)
        artifacts = None if self._server else (local / "artifacts").as_uri()
        place = known.experiment_id if known else self._client.create_experiment(experiment, artifacts)
        return self._client.create_run(place, run_name=name)

    def log_settings(self, settings: Mapping[str, Scalar]) -> None:
        self._client.log_batch(self.id, params=[Param(name, str(value)) for name, value in settings.items()])

    def count_epochs(self, known: int) -> int:
        return max((each.step for each in self._client.get_metric_history(self.id, ACCURACY)), default=0)

    def log_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        now = int(1000 * time.time())
        batch = [Metric(name, value, now, epoch) for name, value in metrics.items()]
        self._client.log_batch(self.id, batch)  # all or none

    def log_results(self, epoch: int, metrics: Mapping[str, float], settings: Mapping[str, Scalar]) -> None:
        self.log_epoch(epoch, metrics)

    def log_table(self, name: str, rows: Sequence[Row], text: str, epoch: int) -> None:
        self._client.log_text(self.id, text, f"{name}.md")

    def log_file(self, path: Path, kind: str) -> None:
        self._client.log_artifact(self.id, str(path), kind)

    def close(self, outcome: Outcome) -> None:
        self._client.set_terminated(self.id, _STATUS[outcome])
