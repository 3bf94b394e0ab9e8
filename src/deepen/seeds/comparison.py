"""Compare two groups of experiments model by model, paired by seed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from deepen.core.errors import InputError, quote, trim
from deepen.evaluation.seed_statistics import Sample, subtract
from deepen.experiments.cached_records import make_record_loader
from deepen.experiments.store import Experiment
from deepen.seeds.group import SeedGroup, find_group, find_ladder_differences, list_ladder
from deepen.seeds.top1_frame import load_top1
from deepen.seeds.trainings import load_trainings

_IMAGES = 32  # hexadecimal digits of the hash of the training images, before those of the test images
_MOST_SETTINGS = 10


@dataclass(frozen=True)
class PairedModels:
    """Top-1 (percent) of a model in two groups, for the seeds of both, and second minus first (points).

    `names` are its names in the two groups. `flops` is its mean training compute in each, with that of the models it
    grew from; None if DVC's cache lacks the records.
    """

    names: tuple[str, str]
    first: Sample
    second: Sample
    difference: Sample
    flops: tuple[float | None, float | None] = (None, None)

    @property
    def label(self) -> str:
        """The name of the model, or the difference of two models."""
        first, second = map(quote, self.names)
        return first if first == second else f"{second} - {first}"


@dataclass(frozen=True)
class GroupComparison:
    """Two groups: their models, paired by seed, the settings in which they differ, and notes on what is left out."""

    first: SeedGroup
    second: SeedGroup
    models: Sequence[PairedModels]
    settings: Sequence[str]
    notes: Sequence[str]


def compare_groups(
    project: Path, names: tuple[str, str], experiments: Sequence[Experiment], others: int = 0
) -> GroupComparison:
    """Compare two groups; raises InputError if they share no seed or no model, or were tested on different images."""
    first, second = (find_group(name, experiments, others) for name in names)
    _require_comparable(first, second)
    paired = _pair_models(project, first, second)
    if not paired:
        raise InputError(f"{names[0]} and {names[1]}: no model is evaluated in both; run deepen seeds again for one")
    settings = list(_describe_settings(first, second))
    return GroupComparison(first, second, paired, settings, [*_list_notes(first, second), *first.notes, *second.notes])


def _pair_models(project: Path, first: SeedGroup, second: SeedGroup) -> list[PairedModels]:
    seeds = [seed for seed in first.members if seed in second.members]
    top1 = load_top1(project, [group.members[seed] for group in (first, second) for seed in seeds])
    load, paired = make_record_loader(project), []
    for names in _list_pairs(first, second, list(map(str, top1.columns))):
        samples = [_select(group, top1[name], seeds) for group, name in zip((first, second), names, strict=True)]
        difference = subtract(samples[1], samples[0])
        if shared := list(difference.values):
            one, other = (Sample({seed: each.values[seed] for seed in shared}) for each in samples)
            flops = [
                load_trainings({seed: group.members[seed] for seed in shared}, name, load).flops
                for group, name in zip((first, second), names, strict=True)
            ]
            paired.append(PairedModels(names, one, other, difference, (flops[0], flops[1])))
    return paired


def _select(group: SeedGroup, top1: "pd.Series[float]", seeds: Sequence[int]) -> Sample:
    """Return the known values of some seeds of a group; `top1` has a value for each commit."""
    known = top1.dropna().to_dict()
    revisions = {seed: group.members[seed].revision for seed in seeds}
    return Sample({seed: known[revision] for seed, revision in revisions.items() if revision in known})


def _require_comparable(first: SeedGroup, second: SeedGroup) -> None:
    if first.name == second.name:
        raise InputError(f"{quote(first.name)}: named twice; name two groups of experiments")
    names = f"{quote(first.name)} and {quote(second.name)}"
    others = {each.revision for each in second.members.values()}
    if same := [quote(each.name) for each in first.members.values() if each.revision in others]:
        raise InputError(f"{names}: both have {', '.join(trim(same, 3))}; name two groups that share no experiment")
    if first.first.images[_IMAGES:] != second.first.images[_IMAGES:]:
        data = " and ".join(quote(group.first.settings.get("data")) for group in (first, second))
        raise InputError(f"{names}: not comparable, they were tested on different images (data: {data})")
    if not first.members.keys() & second.members.keys():
        seeds = [", ".join(map(str, group.members)) for group in (first, second)]
        raise InputError(
            f"{names}: no seed in both (seeds {seeds[0]}; {seeds[1]}), which pairing needs; "
            f"run deepen seeds {' '.join(map(str, first.members))} --name {quote(second.name)}"
        )


def _list_pairs(first: SeedGroup, second: SeedGroup, known: Sequence[str]) -> list[tuple[str, str]]:
    """Return the names of a model in each group: of models with equal names, and of those that `depth` names."""
    one, other = (list_ladder(group.first.settings) for group in (first, second))
    pairs = [(name, name) for name in one if name in other and name in known]
    start, end = (str(group.first.settings.get("depth")) for group in (first, second))
    return [*pairs, (start, end)] if start != end and {start, end} <= set(known) else pairs


def _describe_settings(first: SeedGroup, second: SeedGroup) -> Iterator[str]:
    """Yield path and both values of each setting that differs, without the seed, and `depth`, which names a model."""
    different = find_ladder_differences([first.first.settings, second.first.settings])
    lines = [
        f"{path}: {quote(one)}, {quote(other)}"
        for path, (one, other) in different.items()
        if path not in ("seed", "depth")
    ]
    yield from trim(lines, _MOST_SETTINGS)


def _list_notes(first: SeedGroup, second: SeedGroup) -> Iterator[str]:
    for group, other in ((first, second), (second, first)):
        if alone := [str(seed) for seed in group.members if seed not in other.members]:
            yield f"left out, since only {quote(group.name)} has it: seed {', '.join(alone)}"
    if first.first.images != second.first.images:
        yield "the training images differ, the test images do not"
    if first.first.code != second.first.code:
        yield "the two were made with different versions of the code"
