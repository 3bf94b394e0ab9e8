"""Groups of experiments that differ only in their seed, named NAME-seed-0, NAME-seed-1 and so on."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deepen.core.counts import pluralize
from deepen.core.errors import InputError, quote, trim
from deepen.core.names import SCRATCH
from deepen.core.nearest import suggest_name
from deepen.core.tree import draw_tree
from deepen.experiments.differences import find_differences
from deepen.experiments.store import Experiment

_SEED, _GRID = re.compile(r"(.+)-seed-[0-9]+"), re.compile(r"(.+)-[0-9]+")  # names by deepen seeds, and by a grid
_MOST_SHOWN = 3  # settings or experiments in one message


@dataclass(frozen=True)
class SeedGroup:
    """Experiments with equal settings and images by seed, and notes on what is left out or differs."""

    name: str
    members: Mapping[int, Experiment]
    notes: tuple[str, ...] = ()

    @property
    def first(self) -> Experiment:
        """The experiment of the first seed; its settings are those of all but for the seed."""
        return next(iter(self.members.values()))


def list_ladder(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the models of a params.yaml in the order of their tree, with the model that each grows from."""
    after = {str(name): str(model.get("after", "")) for name, model in (settings.get("models") or {}).items()}
    return {name: after[name] for name in draw_tree(after)}


def make_member_name(group: str, seed: int) -> str:
    """Return the name of a group's experiment with a seed."""
    return f"{group}-seed-{seed}"


def find_group(name: str, experiments: Sequence[Experiment], others: int = 0) -> SeedGroup:
    """Return the experiments of a group that have results: NAME-seed-0 and so on, else NAME, else NAME-1 and so on.

    `others` counts the experiments that are not listed. Raises InputError if there are none, and if they differ in more
    than the seed.
    """
    found = _find_members(name, experiments)
    with_results = [each for each in found if each.metrics]
    if not with_results:
        raise InputError(_describe_missing(name, found, experiments, others))
    notes = [f"{quote(each.name)} is left out: {each.why or 'it has no top-1'}" for each in found if not each.metrics]
    _require_equal_settings(name, with_results)
    notes += _note_baseline_epochs(with_results)
    members: dict[int, Experiment] = {}
    ordered = sorted(with_results, key=lambda each: (_get_seed(each), each.name))
    pairs = [(members.setdefault(_get_seed(each), each), each) for each in ordered]
    notes += [_compare_duplicates(before, each) for before, each in pairs if before is not each]
    if len({each.code for each in members.values()}) > 1:
        notes.append(f"the experiments of {name} were made with different versions of the code")
    return SeedGroup(name, members, tuple(notes))


def _find_members(name: str, experiments: Sequence[Experiment]) -> list[Experiment]:
    by_seed, alone, of_grid = (
        [each for each in experiments if (match := pattern.fullmatch(each.name)) and match[1] == name]
        for pattern in (_SEED, re.compile("(.+)"), _GRID)
    )
    return by_seed or alone or of_grid


def get_group_name(name: str) -> str:
    """Return the name of the group of an experiment with a seed; of another experiment, its own."""
    match = _SEED.fullmatch(name)
    return match[1] if match else name


def _get_seed(experiment: Experiment) -> int:
    seed = experiment.settings.get("seed")
    if not isinstance(seed, int):
        raise InputError(f"{quote(experiment.name)}: its params.yaml has no seed; run it again with this version")
    return seed


def _describe_missing(name: str, found: Sequence[Experiment], all_: Sequence[Experiment], others: int) -> str:
    if found:
        reasons = [f"{quote(each.name)}: {each.why or 'no top-1'}" for each in found]
        why = "; ".join(trim(reasons, _MOST_SHOWN))
        return f"{quote(name)}: none of its experiments has results ({why}); run them again"
    groups = sorted({get_group_name(each.name) for each in all_ if each.metrics})
    known = f"use one of {', '.join(map(quote, trim(groups)))}, or " if groups else ""
    hidden = f"; {pluralize(others, 'experiment')} of other commits: add --all" if others else ""
    return (
        f"{quote(name)}: unknown experiment; {known}run deepen seeds 0 1 2 --name {quote(name)}{hidden}"
        + suggest_name(name, groups)
    )


def _require_equal_settings(name: str, members: Sequence[Experiment]) -> None:
    """Raise InputError with all settings but the seed in which the experiments differ, and if their images do."""
    faults = list(_iter_setting_faults(name, members))
    if len({each.images for each in members}) > 1:
        faults.append(f"{quote(name)}: its experiments have different images; a mean over seeds needs the same ones")
    if faults:
        raise InputError(faults)


def _note_baseline_epochs(members: Sequence[Experiment]) -> list[str]:
    """Return a note if the epochs of a baseline differ by seed, as `patience` ends the trainings of its ladders."""
    path = _get_baseline_epochs(members[0].settings)
    epochs = find_ladder_differences([each.settings for each in members]).get(path or "")
    if not path or not epochs:
        return []
    by_seed = ", ".join(f"{count} with seed {_get_seed(each)}" for each, count in zip(members, epochs, strict=True))
    return [f"epochs of {quote(members[0].settings['depth'])}: {by_seed}; each has the compute of its own ladder"]


def _get_baseline_epochs(settings: Mapping[str, Any]) -> str | None:
    """Return the path of the epochs of a baseline, which follow from its ladder; None for settings of a ladder."""
    model = str(settings.get("depth"))
    return f"models.{model}.epochs" if model.endswith(f"-{SCRATCH}") and list(settings["models"]) == [model] else None


def _iter_setting_faults(name: str, members: Sequence[Experiment]) -> Iterator[str]:
    free = ("seed", _get_baseline_epochs(members[0].settings))
    for path, values in find_ladder_differences([each.settings for each in members]).items():
        if path not in free:
            shown = [f"{quote(value)} in {quote(each.name)}" for each, value in zip(members, values, strict=True)]
            distinct = list(dict(zip(values, shown, strict=True)).values())
            yield (
                f"{quote(name)}: its experiments differ in {path} ({', '.join(trim(distinct, _MOST_SHOWN))}); "
                "a mean over seeds needs equal settings: run each with its own --name"
            )


def find_ladder_differences(runs: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the settings that differ between runs (contents of params.yaml) as texts by path, of all their models."""
    models = dict.fromkeys(str(model) for run in runs for model in run.get("models") or ())
    different: dict[str, list[str]] = {}
    for changes in ({}, *({"depth": model} for model in models)):
        rows = find_differences([{**run, **changes} for run in runs])
        for path in dict.fromkeys(path for row in rows for path in row):
            different[path] = [row.get(path, "none") for row in rows]
    return different


def _compare_duplicates(one: Experiment, other: Experiment) -> str:
    """Return a note that a seed was run twice; raises InputError if the results differ."""
    names, seed = f"{quote(one.name)} and {quote(other.name)}", one.settings["seed"]
    if one.metrics != other.metrics:
        remedy = "leave out --all" if one.name == other.name else "run dvc exp remove with one of the names"
        raise InputError(f"{names} both have seed {seed}, and different results; {remedy}")
    return f"{quote(other.name)} is left out: it has seed {seed} and the results of {quote(one.name)}"
