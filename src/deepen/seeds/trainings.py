"""How a model was trained in the experiments of a group: compute, warnings and early stops, from their records."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from deepen.experiments.cached_records import RecordLoader
from deepen.experiments.store import Experiment
from deepen.records.record import Record


@dataclass(frozen=True)
class Trainings:
    """The trainings of a model with several seeds.

    `flops` is the mean training compute of the model with that of the models it grew from, None if a record is not
    available. `own` are the records of the model by seed. `first` are those of the model and of the models that it grew
    from, with the first seed.
    """

    flops: float | None = None
    own: Mapping[int, Record] = field(default_factory=dict)
    first: tuple[Record, ...] = ()


def load_trainings(members: Mapping[int, Experiment], model: str, load: RecordLoader) -> Trainings:
    """Load how a model was trained in experiments, by seed, as far as DVC's cache has their records."""
    loaded = {seed: load(each, model) for seed, each in members.items()}
    records = {seed: each for seed, each in loaded.items() if each}
    if not records:
        return Trainings()
    total = sum(record.flops for each in records.values() for record in each)
    flops = total / len(records) if len(records) == len(members) else None
    return Trainings(flops, {seed: each[-1] for seed, each in records.items()}, tuple(next(iter(records.values()))))
