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
    candidates = list(_iter_candidates(here, experiments))
    load = make_record_loader(project) if candidates else None
    found: dict[str, OwnBaseline] = {}
    for model, each in candidates:
        path, own = project / f"records/{model}.json", load(each, name_baseline(model)) if load else None
        if own and path.is_file() and _has_planned_compute(baseline := OwnBaseline(own[-1], load_records(path))):
            found[model] = baseline
    return list(found.values())


def _iter_candidates(here: Experiment, experiments: Sequence[Experiment]) -> Iterator[tuple[str, Experiment]]:
    """Yield models and experiments with the settings of their baseline, apart from its epochs."""
    for model in map(str, here.settings["models"]):
        for each in experiments:
            is_for_model = each.metrics and each.settings.get("depth") == name_baseline(model)
            equal = each.images == here.images and each.settings.get("seed") == here.settings.get("seed")
            if is_for_model and equal and not find_baseline_differences(each.settings, here.settings, model):
                yield model, each


def _has_planned_compute(each: OwnBaseline) -> bool:
    """Return whether a baseline has the compute of this ladder to half an epoch, and not that of another ladder."""
    epochs, ladder = len(each.baseline.training.epochs), sum(record.flops for record in each.ladder)
    return epochs == 1 or abs(each.baseline.flops - ladder) <= 0.501 * each.baseline.flops / epochs
