"""Experiments to run, each with the content of its params.yaml, and which of them are done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deepen.core.errors import InputError, quote
from deepen.experiments.changes import apply_changes, count_combinations, find_change_faults
from deepen.experiments.overrides import make_overrides, quote_change, split_changes
from deepen.experiments.seed_group import find_ladder_differences, make_member_name
from deepen.experiments.store import Experiment

_MOST_SEED = 2**63 - 1  # that params.yaml accepts


@dataclass(frozen=True)
class PlannedRun:
    """An experiment to run: its name, its params.yaml, and the overrides that make it from the project's."""

    name: str
    settings: Mapping[str, Any]
    overrides: Sequence[str]

    def is_done(self, experiments: Sequence[Experiment]) -> bool:
        """Return whether an experiment of this name has results; raises InputError if it has other settings."""
        found = next((each for each in experiments if each.name == self.name), None)
        if found is None:
            return False
        remedy = f"choose another --name, or run dvc exp remove {quote(self.name)}"
        if different := find_ladder_differences([found.settings, self.settings]):
            path, (there, here) = next(iter(different.items()))
            more = f" and {len(different) - 1} more" if len(different) > 1 else ""
            fault = f"exists with other settings ({path}: {quote(there)} there, {quote(here)} here{more})"
            raise InputError(f"{quote(self.name)}: {fault}; {remedy}")
        if not found.metrics:
            raise InputError(f"{quote(self.name)}: exists without results ({found.why or 'no top-1'}); {remedy}")
        return True


def plan_seeds(params: Mapping[str, Any], group: str, seeds: Sequence[int], changes: str) -> list[PlannedRun]:
    """Plan a run for each seed, with the content of params.yaml after `changes`; raises InputError with all faults."""
    changed = [quote_change(change) for change in split_changes(changes)]
    faults = [*_find_seed_faults(seeds), *_find_change_faults(params, changed)]
    if faults := faults or find_change_faults(params, changed):
        raise InputError(faults)
    settings = apply_changes(params, changed)
    return [
        PlannedRun(make_member_name(group, seed), {**settings, "seed": seed}, (*changed, f"seed={seed}"))
        for seed in seeds
    ]


def _find_seed_faults(seeds: Sequence[int]) -> list[str]:
    faults = [
        f"seed {seed}: must be 0 to {_MOST_SEED}; write for example deepen seeds 0 1 2"
        for seed in seeds
        if not 0 <= seed <= _MOST_SEED
    ]
    repeated = [seed for seed in dict.fromkeys(seeds) if seeds.count(seed) > 1]
    return faults + [f"seed {seed}: listed {seeds.count(seed)} times; list each seed once" for seed in repeated]


def _find_change_faults(params: Mapping[str, Any], changes: Sequence[str]) -> list[str]:
    """Return the faults of changes that only several seeds have."""
    faults = []
    for change in changes:
        if change.partition("=")[0].strip("+~") == "seed":
            faults.append(
                f"{quote(change)}: the seeds are arguments of their own; write for example deepen seeds 0 1 2"
            )
        elif "${" in change:
            faults.append(f"{quote(change)[:200]}: ${{...}} is not supported with seeds; write the value")
        elif not find_change_faults(params, [change]) and count_combinations(params, [change]) != 1:
            faults.append(f"{quote(change)[:200]}: several values; run each value with its own --name")
    return faults


def plan_replacement(params: Mapping[str, Any], name: str, settings: Mapping[str, Any]) -> PlannedRun:
    """Plan a run whose params.yaml has these settings in place of the project's `params`."""
    different = {key: value for key, value in settings.items() if params.get(key) != value}
    return PlannedRun(name, settings, tuple(make_overrides(different, params)))
