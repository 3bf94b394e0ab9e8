"""The models that `deepen compare` compares: their names and metrics, and warnings about metrics of other settings."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deepen.core.errors import InputError, quote, trim
from deepen.core.names import MODEL_NAME, RESERVED
from deepen.core.nearest import suggest_name
from deepen.core.notes import print_warnings


def require_model(name: str, known: Sequence[str], project: Path) -> None:
    """Raise InputError unless this is one of the known models, those in params.yaml."""
    if name not in known and _is_experiment(name, project):
        raise InputError(
            f"{quote(name)}: an experiment, and no model of params.yaml; add --seeds to compare experiments"
        )
    if not re.fullmatch(MODEL_NAME, name) or name.lower() in RESERVED:
        raise InputError(f"{quote(name)}: invalid model name; use models of params.yaml, for example I and III")
    if name not in known:
        models = f"({', '.join(trim(known))}){suggest_name(name, known)}"
        raise InputError(f"{name}: not in params.yaml; use its models {models}")


def _is_experiment(name: str, project: Path) -> bool:
    """Return whether an experiment or a group of seeds has this name."""
    from deepen.experiments.references import list_references
    from deepen.seeds.group import get_group_name

    try:
        names = [each.name for each in list_references(project, everywhere=True)[0]]
    except InputError:  # not in a git repository
        return False
    return any(name in (each, get_group_name(each)) for each in names)


def warn_of_changes(project: Path, params: Mapping[str, Any], names: Sequence[str]) -> None:
    """Warn about metrics that were not made with the settings in params.yaml."""
    from deepen.experiments.collecting import collect_results

    missing = {each.model: each for each in collect_results(project, params).missing}
    print_warnings([missing[name].describe() for name in names if name in missing and missing[name].changed])


def suggest_models(name: str, models: list[str]) -> str:
    if not models:
        return "run dvc repro"
    return f"use evaluated models ({', '.join(models)}), or run dvc repro" + suggest_name(name, models)


def read_metrics(project: Path, file: Path) -> dict[str, float]:
    """Read the metrics of a model; raise InputError if its record, which has a checksum, differs."""
    from deepen.core.files import read_json
    from deepen.records.record import load_records

    metrics, record = read_json(file, dict[str, float]), project / "records" / file.name
    if record.is_file() and metrics != load_records(record)[-1].metrics:
        raise InputError(
            f"{file}: differs from {record}: one of them is damaged or from another run; "
            "run dvc checkout or dvc repro, and compare again"
        )
    return metrics
