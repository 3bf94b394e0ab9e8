"""The models of a group of experiments over seeds: top-1, and differences paired by seed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from deepen.core.errors import InputError, quote, trim
from deepen.evaluation.seed_statistics import Sample, subtract
from deepen.experiments.baseline import find_baseline_differences, name_baseline
from deepen.experiments.cached_records import RecordLoader, make_record_loader
from deepen.experiments.store import Experiment
from deepen.seeds.group import SeedGroup, find_group, list_ladder
from deepen.seeds.top1_frame import load_top1
from deepen.seeds.trainings import Trainings, load_trainings


@dataclass(frozen=True)
class ModelSample:
    """Top-1 (percent) of a model by seed, how it was trained, and the model that it grew from, `after`."""

    model: str
    after: str
    top1: Sample
    trainings: Trainings


@dataclass(frozen=True)
class SeedTable:
    """The models of a group in the order of their tree, then their baselines.

    `baselines` has the model that each baseline is for.
    """

    group: SeedGroup
    models: Sequence[ModelSample]
    baselines: Mapping[str, str]
    notes: Sequence[str] = field(default=())

    @property
    def seeds(self) -> list[int]:
        """All seeds that a model has."""
        return sorted({seed for each in self.models for seed in each.top1.values})

    def differences(self) -> list[tuple[str, str, Sample]]:
        """Return model, model that is subtracted, and the difference of top-1 (points) by seed.

        Each model is compared with the one that it grew from, and with its baseline.
        """
        samples = {each.model: each.top1 for each in self.models}
        pairs = [(each.model, each.after) for each in self.models if each.after in samples]
        pairs += [(model, baseline) for baseline, model in self.baselines.items() if model in samples]
        found = [(one, other, subtract(samples[one], samples[other])) for one, other in pairs]
        return [each for each in found if each[2].values]


def load_seed_table(project: Path, name: str, experiments: Sequence[Experiment], others: int = 0) -> SeedTable:
    """Load the results of a group and of its baselines; raises InputError if there are none."""
    group = find_group(name, experiments, others)
    baselines, notes = _find_baselines(group, experiments)
    groups = [group, *baselines]
    top1 = load_top1(project, [each for every in groups for each in every.members.values()])
    load = make_record_loader(project)
    models = [sample for every in groups for sample in _iter_models(every, top1, load)]
    if not models:
        raise InputError(f"{quote(name)}: none of its models is evaluated; run deepen seeds with this --name again")
    notes += [note for every in groups for note in every.notes]
    names = {each.model for each in models}
    table = SeedTable(group, models, {one: model for one, model in _name_baselines(group) if one in names}, notes)
    return replace(table, notes=[*notes, *_iter_gaps(table)])


def _name_baselines(group: SeedGroup) -> Iterator[tuple[str, str]]:
    """Yield the name of the baseline of each model that grows from another, and the model."""
    models = list_ladder(group.first.settings)
    yield from ((name_baseline(name), name) for name, after in models.items() if after in models)


def _find_baselines(group: SeedGroup, experiments: Sequence[Experiment]) -> tuple[list[SeedGroup], list[str]]:
    """Return the groups of baselines of a group, and notes on those that are left out: of other settings or images."""
    found, notes = [], []
    for baseline, model in _name_baselines(group):
        name = f"{group.name}-{baseline}"
        if not any(each.name.startswith(f"{name}-seed-") and each.metrics for each in experiments):
            continue
        each = find_group(name, experiments)
        different = find_baseline_differences(each.first.settings, group.first.settings, model)
        different += ["images"] if each.first.images != group.first.images else []
        if different:
            notes.append(f"{quote(name)} is left out: it differs in {', '.join(trim(different, 3))}")
        else:
            found.append(each)
    return found, notes


def _iter_models(group: SeedGroup, top1: pd.DataFrame, load: RecordLoader) -> Iterator[ModelSample]:
    models = list_ladder(group.first.settings)
    for name, after in models.items():
        by_revision = top1[name].dropna().to_dict() if name in top1 else {}
        members = {seed: each for seed, each in group.members.items() if each.revision in by_revision}
        if members:
            values = {seed: by_revision[each.revision] for seed, each in members.items()}
            yield ModelSample(name, after, Sample(values), load_trainings(members, name, load))


def _iter_gaps(table: SeedTable) -> Iterator[str]:
    """Yield a note for each model that lacks some of the seeds: its mean can't be compared with the others."""
    for each in table.models:
        if missing := [str(seed) for seed in table.seeds if seed not in each.top1.values]:
            yield f"{each.model} has no result with seed {', '.join(missing)}: its mean is over fewer seeds"
