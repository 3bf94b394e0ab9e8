"""The baseline of a ladder: its deep model trained from scratch, with the training compute of the whole ladder."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deepen.config.settings import check_settings
from deepen.core.names import SCRATCH
from deepen.experiments.differences import find_differences
from deepen.models.layers import count_training_flops, plan
from deepen.records.record import Record

_MOST_LETTERS = 32  # of a model's name


@dataclass(frozen=True)
class Baseline:
    """The settings of a baseline's run, and its training compute beside that of the ladder (FLOPs)."""

    model: str
    settings: Mapping[str, Any]
    epochs: int
    flops: int
    ladder_flops: int

    @property
    def excess(self) -> float:
        """The compute beyond that of the ladder, in percent; negative if it is less. Whole epochs cause it."""
        return 100 * (self.flops / self.ladder_flops - 1)


def name_baseline(model: str) -> str:
    """Return the name of a model that is trained from scratch, such as III-scratch."""
    ending = f"-{SCRATCH}"
    return model[: _MOST_LETTERS - len(ending)] + ending


def plan_baseline(settings: Mapping[str, Any], model: str, records: Sequence[Record]) -> Baseline:
    """Plan the baseline of a model with the recipe, seed and width of its ladder.

    `settings` is the content of the ladder's params.yaml, `records` are those of the model and its ancestors. The
    epochs are the number whose compute is nearest to that of all trainings of the ladder; it trains all of them, also
    where `patience` may stop the ladder early. Raises InputError if they are more than params.yaml accepts.
    """
    last, total = records[-1], sum(record.flops for record in records)
    layers = plan(last.layers, width=last.width, image=last.image, classes=last.classes, norm=last.norm)
    trained = last.training
    images = trained.learned // len(trained.epochs)  # that an epoch trains on; an incomplete batch is left out
    cost = images * count_training_flops(layers)
    epochs = max(1, round(total / cost))
    name, old = name_baseline(model), settings["models"][model]
    entry = {"after": SCRATCH, "layers": old["layers"], "epochs": epochs}
    entry |= {"norm": old["norm"]} if "norm" in old else {}
    changed = {**copy.deepcopy(dict(settings)), "depth": name, "models": {name: entry}}
    changed["recipes"][changed["recipe"]]["training"]["patience"] = "none"
    check_settings(changed, "params.yaml of the baseline")
    return Baseline(name, changed, epochs, epochs * cost, total)


def find_baseline_differences(settings: Mapping[str, Any], ladder: Mapping[str, Any], model: str) -> list[str]:
    """Return the paths of settings in which a run is not the baseline of a model of a ladder, except for the seed.

    Both are contents of a params.yaml. Epochs and `patience` follow from the ladder and are not compared.
    """
    shared = [
        {key: value for key, value in run.items() if key not in ("depth", "models")} for run in (settings, ladder)
    ]
    paths = [path for path in find_differences(shared)[0] if path != "seed" and not path.endswith(".training.patience")]
    entry, original = settings.get("models", {}).get(name_baseline(model)), ladder.get("models", {}).get(model)
    if not entry or not original or entry.get("after") != SCRATCH:
        return [*paths, "models"]
    return paths + [f"models.{model}.{key}" for key in ("layers", "norm") if entry.get(key) != original.get(key)]


def list_imported(records: Sequence[Record], settings: Mapping[str, Any]) -> list[str]:
    """Return the models that start from a file, whose earlier training the compute of the ladder does not include."""
    return [record.model for record in records if settings["models"].get(record.model, {}).get("start")]
