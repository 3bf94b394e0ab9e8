"""Plan the runs of baselines: of the ladder in the project's folder, or of a group of seeds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deepen.core.errors import InputError, quote, trim
from deepen.core.names import SCRATCH
from deepen.core.nearest import suggest_name
from deepen.experiments.baseline import Baseline, name_baseline, plan_baseline
from deepen.experiments.cached_records import make_record_loader
from deepen.experiments.recorded import find_changes
from deepen.experiments.store import Experiment, list_experiments, load_workspace
from deepen.records.record import Record, load_records
from deepen.seeds.group import find_group, make_member_name
from deepen.seeds.planned_runs import PlannedRun, plan_replacement

Planned = tuple[PlannedRun, Baseline, Sequence[Record]]  # the records are those of the ladder


def plan_own_baseline(project: Path, params: Mapping[str, Any], model: str | None) -> list[Planned]:
    """Plan the baseline of a model of the run in a project's folder; None is the model that `depth` names.

    Raises InputError unless the ladder up to the model was trained with the current settings.
    """
    name = _require_grown(params, model or str(params["depth"]))
    here, path = load_workspace(project), project / f"records/{name}.json"
    changes = find_changes(here.lock, params, f"evaluate@{name}") if here else None
    if here is None or changes is None or not path.is_file():
        raise InputError(f"{quote(name)}: not trained yet; run dvc repro, and then deepen baseline {quote(name)}")
    if changes:
        why = f"{', '.join(trim(changes, 3))} changed after the run"
        raise InputError(f"{quote(name)}: {why}; run dvc repro, and then deepen baseline {quote(name)}")
    return [_plan(params, params, name, name_baseline(name), load_records(path))]


def plan_group_baselines(project: Path, params: Mapping[str, Any], group: str, model: str | None) -> list[Planned]:
    """Plan a baseline for each seed of a group; raises InputError if records are missing in DVC's cache."""
    found = find_group(group, *list_experiments(project))
    name = _require_grown(found.first.settings, model or str(found.first.settings["depth"]))
    load, planned = make_record_loader(project), []
    for each in found.members.values():
        records = load(each, name) if _is_evaluated(each, name) else None
        if not records:
            raise InputError(f"{quote(each.name)}: records/{name}.json is not available; run it again, or dvc exp pull")
        planned.append(_plan(params, each.settings, name, f"{group}-{name_baseline(name)}", records))
    return planned


def _is_evaluated(experiment: Experiment, model: str) -> bool:
    return find_changes(experiment.lock, experiment.settings, f"evaluate@{model}") == []


def _plan(
    params: Mapping[str, Any], ladder: Mapping[str, Any], model: str, group: str, records: Sequence[Record]
) -> Planned:
    baseline = plan_baseline(ladder, model, records)
    name = make_member_name(group, int(ladder["seed"]))
    return plan_replacement(params, name, baseline.settings), baseline, records


def _require_grown(settings: Mapping[str, Any], model: str) -> str:
    """Return the name of a model; raises InputError if it is unknown, or starts from scratch itself."""
    models = settings["models"]
    grown = [str(name) for name in models if models[name].get("after") != SCRATCH]
    if not grown:
        raise InputError("params.yaml: no model grows from another; add one: deepen new II --after I")
    if model not in models:
        fault = f"{quote(model)}: unknown model"
    elif model not in grown:
        fault = f"{quote(model)}: trained from scratch already, a baseline is for a grown model"
    else:
        return model
    raise InputError(f"{fault}; use one of {', '.join(trim(grown))}{suggest_name(model, grown)}")


def describe_baseline(baseline: Baseline, records: Sequence[Record]) -> str:
    """Return a sentence on the compute of a baseline beside that of its ladder."""
    ladder = ", ".join(quote(record.model) for record in records)
    difference = f"{abs(baseline.excess):.2f} % {'more' if baseline.excess > 0 else 'less'}"
    return (
        f"{quote(baseline.model)}: {baseline.epochs:,} epochs, {baseline.flops:.4e} FLOP, "
        f"{difference} than {baseline.ladder_flops:.4e} of {ladder} (whole epochs)"
    )
