"""The baselines of the run in a project's folder, among its experiments."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from deepen.experiments.baseline import find_baseline_differences, name_baseline
from deepen.experiments.cached_records import make_record_loader
from deepen.experiments.store import Experiment
from deepen.records.record import Record, load_records


class OwnBaseline(NamedTuple):
    """A baseline's record, and the records of the ladder up to the model that it is for."""

    baseline: Record
    ladder: list[Record]


def load_own_baselines(project: Path, here: Experiment, experiments: Sequence[Experiment]) -> list[OwnBaseline]:
    """Return the baselines with the settings, seed and images of the run `here`, one for each model that has one."""
    if here.why or not here.settings.get("models"):
        return []
    found = dict(_iter_baselines(here, experiments))
    load = make_record_loader(project) if found else None
    records = {model: load(each, name_baseline(model)) for model, each in found.items()} if load else {}
    paths = {model: project / f"records/{model}.json" for model in found}
    return [
        OwnBaseline(own[-1], load_records(paths[model]))
        for model, own in records.items()
        if own and paths[model].is_file()
    ]


def _iter_baselines(here: Experiment, experiments: Sequence[Experiment]) -> Iterator[tuple[str, Experiment]]:
    for model in map(str, here.settings["models"]):
        for each in experiments:
            is_for_model = each.metrics and each.settings.get("depth") == name_baseline(model)
            equal = each.images == here.images and each.settings.get("seed") == here.settings.get("seed")
            if is_for_model and equal and not find_baseline_differences(each.settings, here.settings, model):
                yield model, each
