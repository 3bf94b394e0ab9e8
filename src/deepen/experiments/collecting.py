"""Collect the current results of every model of a ladder; dvc.lock tells how they were made."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deepen.core.errors import InputError
from deepen.core.tree import draw_tree
from deepen.experiments.recorded import find_changes, find_code_changes, get_md5, list_outputs, list_removed_models
from deepen.records.ladder import LadderResults, MissingModel, State, load_ladder_results
from deepen.records.record import Record, load_records

_MOST_CHANGES = 3  # to name


def collect_results(project: Path, settings: Mapping[str, Any]) -> LadderResults:
    """Return the results of the models in `settings`, the content of a project's params.yaml.

    DVC keeps the records of the model that `depth` names, with those of its ancestors, up to date for the report. Any
    other model has results if they were made with these settings, from the same files and by the same code. Raises
    InputError if the records of a model are damaged.
    """
    models = {str(name): model for name, model in settings["models"].items()}
    order = draw_tree({name: str(model.get("after")) for name, model in models.items()})
    depth, lock = str(settings["depth"]), _read_lock(project)
    found = {record.model: record for record in _load_records(project, depth)}
    missing = []
    for place, name in enumerate(order):
        if name in found:
            continue
        if state := _find_state(project, settings, name, lock):
            model = models[name]
            missing.append(MissingModel(name, str(model.get("after")), str(model.get("layers")), *state, place=place))
        else:
            found[name] = _load_records(project, name)[-1]
    return LadderResults(depth, [found[name] for name in order if name in found], missing)


def describe_stage(project: Path, settings: Mapping[str, Any], stage: str) -> str:
    """Return whether the results of a stage were made with these settings: `done`, or what is missing or changed."""
    lock = _read_lock(project)
    changes = find_changes(lock, settings, stage)
    if changes is None:
        return "not run yet"
    removed = list_removed_models(changes, settings)
    left = [path for path in changes if path.removeprefix("models.") not in removed]
    missing = [path for path in list_outputs(lock, stage) if not (project / path).exists()]
    return _describe_parts({"removed": removed, "changed": left, "missing": missing}) or "done"


def describe_report(project: Path, settings: Mapping[str, Any], path: Path) -> str:
    """Return the same about the stage `report`, whose input, in the file `path`, may have other results than now."""
    state = describe_stage(project, settings, "report")
    if state != "done":
        return state
    try:
        now, then = collect_results(project, settings), load_ladder_results(path)
    except InputError:
        return f"{path.name} is damaged"
    return _describe_parts(_compare_models(then, now)) or (state if now == then else "order of models changed")


def _compare_models(then: LadderResults, now: LadderResults) -> dict[str, list[str]]:
    """Return the models that were added, those that were removed, and those whose results have changed."""
    before, after = _list_models(then), _list_models(now)
    return {
        "added": [name for name in after if name not in before],
        "removed": [name for name in before if name not in after],
        "changed": [name for name, each in after.items() if before.get(name, each) != each],
    }


def _list_models(results: LadderResults) -> dict[str, Record | MissingModel]:
    found: list[Record | MissingModel] = [*results.records, *results.missing]
    return {each.model: each for each in found}


def _describe_parts(parts: Mapping[str, list[str]]) -> str:
    """Join lists of what was changed, added or removed, without the empty ones."""
    return ", ".join(f"{_list_changes(names)} {verb}" for verb, names in parts.items() if names)


def _find_state(project: Path, settings: Mapping[str, Any], name: str, lock: str) -> tuple[State, str] | None:
    """Return why a model has no current results, and what has changed; None if it has current ones."""
    changes = find_changes(lock, settings, f"evaluate@{name}")
    if changes is None:
        trained = find_changes(lock, settings, f"train@{name}") is not None
        return ("not evaluated yet" if trained else "not trained yet"), ""
    path = _find_records(project, name)
    if not path.is_file():
        return "not in this run", ""
    changes = changes or find_code_changes(lock, name, str(settings["depth"]))
    if not changes and _hash(path) != get_md5(lock, f"records/{name}.json"):
        changes = [f"records/{name}.json"]
    return ("out of date", _list_changes(changes)) if changes else None


def _list_changes(changes: list[str]) -> str:
    left = len(changes) - _MOST_CHANGES
    return ", ".join(changes[:_MOST_CHANGES]) + (f" and {left} more" if left > 0 else "")


def _find_records(project: Path, name: str) -> Path:
    return project / "records" / f"{name}.json"


def _load_records(project: Path, name: str) -> list[Record]:
    """Load the records of a model and of its ancestors; empty if it has none."""
    path = _find_records(project, name)
    return load_records(path) if path.is_file() else []


def _hash(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _read_lock(project: Path) -> str:
    path = project / "dvc.lock"
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
