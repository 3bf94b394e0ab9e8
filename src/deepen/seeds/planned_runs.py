"""Experiments to run, each with the content of its params.yaml, and which of them are done."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deepen.core.errors import InputError, quote
from deepen.core.seeding import MOST_SEED
from deepen.experiments.changes import apply_changes, count_combinations, find_change_faults
from deepen.experiments.overrides import make_overrides, quote_change, split_changes
from deepen.experiments.store import Experiment
from deepen.seeds.group import find_ladder_differences, make_member_name


@dataclass(frozen=True)
class PlannedRun:
    """An experiment to run: its name, its params.yaml, and the overrides that make it from the project's.

    `group` is the name of its group of seeds, if it is in one.
    """

    name: str
    settings: Mapping[str, Any]
    overrides: Sequence[str]
    group: str = ""

    def is_done(self, experiments: Sequence[Experiment]) -> bool:
        """Return whether an experiment of this name has results.

        Raises InputError if it, or another seed of its group, has other settings.
        """
        member = re.compile(rf"{re.escape(self.group)}-seed-[0-9]+") if self.group else None
        for each in experiments:
            if each.name == self.name or (member and member.fullmatch(each.name)):
                self._require_equal_settings(each)
        found = next((each for each in experiments if each.name == self.name), None)
        if found is None:
            return False
        if not found.metrics:
            remedy = f"choose another --name, or run dvc exp remove {quote(self.name)}"
            raise InputError(f"{quote(self.name)}: exists without results ({found.why or 'no top-1'}); {remedy}")
        return True

    def _require_equal_settings(self, other: Experiment) -> None:
        different = find_ladder_differences([other.settings, self.settings])
        paths = [path for path in different if path != "seed" or other.name == self.name]
        if paths:
            there, here = different[paths[0]]
            more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
            raise InputError(
                f"{quote(other.name)}: exists with other settings ({paths[0]}: {quote(there)} there, {quote(here)} here"
                f"{more}); choose another --name, or run dvc exp remove {quote(other.name)}"
            )


def plan_seeds(params: Mapping[str, Any], group: str, seeds: Sequence[int], changes: str) -> list[PlannedRun]:
    """Plan a run for each seed, with the content of params.yaml after `changes`; raises InputError with all faults."""
    changed = [quote_change(change) for change in split_changes(changes)]
    faults = [*_find_seed_faults(seeds), *_find_change_faults(params, changed)]
    if faults := faults or find_change_faults(params, changed, "", "params.yaml, with these changes"):
        raise InputError(faults)
    settings = apply_changes(params, changed)
    return [
        PlannedRun(make_member_name(group, seed), {**settings, "seed": seed}, (*changed, f"seed={seed}"), group)
        for seed in seeds
    ]


def _find_seed_faults(seeds: Sequence[int]) -> list[str]:
    faults = [
        f"seed {seed}: must be 0 to {MOST_SEED}; write for example deepen seeds 0 1 2"
        for seed in seeds
        if not 0 <= seed <= MOST_SEED
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
