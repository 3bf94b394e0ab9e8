"""Top-1 of the models of experiments, as `dvc.api.exp_show` has it, in a data frame."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from deepen.core.errors import InputError
from deepen.experiments.recorded import find_changes
from deepen.experiments.store import Experiment


def load_top1(project: Path, experiments: Sequence[Experiment]) -> pd.DataFrame:
    """Return top-1 (percent) with a row per experiment, its commit, and a column per model; NaN if unknown.

    A number that an experiment has from the commit that it started from, made with other settings, is unknown.
    """
    shown = {row["rev"]: row for row in _show(project, sorted({each.start for each in experiments}))}
    pattern = re.compile(re.escape(_find_metrics_folder(project)) + r"/([^/:]+)\.json:top1")
    rows = {each.revision: dict(_iter_top1(each, shown, pattern)) for each in experiments}
    return pd.DataFrame.from_dict(rows, orient="index", dtype=float)


def _show(project: Path, starts: Sequence[str]) -> list[dict[str, Any]]:
    """Return DVC's rows of the experiments that started from some commits."""
    import dvc.api
    from dvc.exceptions import DvcException

    try:
        return list(dvc.api.exp_show(repo=str(project), revs=list(starts))) if starts else []
    except DvcException as error:
        raise InputError(f"{project}: dvc exp show failed ({error}); run it to see why") from error


def _find_metrics_folder(project: Path) -> str:
    """Return the path of the folder metrics/ as DVC has it: relative to the root, of which a project may be a part."""
    from dvc.repo import Repo

    return (project.resolve().relative_to(Path(Repo.find_root(str(project))).resolve()) / "metrics").as_posix()


def _iter_top1(
    experiment: Experiment, shown: Mapping[str, Mapping[str, Any]], pattern: re.Pattern[str]
) -> Iterator[tuple[str, float]]:
    """Yield model and top-1 for each model that was evaluated with the experiment's settings."""
    row = next((row for short, row in shown.items() if experiment.revision.startswith(short)), {})
    models = experiment.settings.get("models")
    for key, value in row.items():
        match = pattern.fullmatch(key)
        known = match and isinstance(models, dict) and match[1] in models and isinstance(value, float)
        if match and known and find_changes(experiment.lock, experiment.settings, f"evaluate@{match[1]}") == []:
            yield match[1], value
