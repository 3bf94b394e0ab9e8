"""What each model of a trial would be trained with, before anything trains."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepen.config.dataset_settings import Image
from deepen.config.recipes import Plateau
from deepen.config.settings import Model, Settings, check_settings
from deepen.core.errors import InputError
from deepen.core.names import SCRATCH
from deepen.experiments.changes import apply_changes
from deepen.growth.initialization import choose_starts
from deepen.growth.ladder import Plans, build_role_mapping, plan_ladder
from deepen.growth.pretrained import read_start_shapes
from deepen.models.layers import Shape, list_tensor_shapes
from deepen.search.space import Space, Value

NAME = "params.yaml, changed by the search"
_RESOLVED = {"lr", "grown_lr", "epochs", "batch_size", "crop", "dropout", "schedule", "patience", "skip_easy"}
_MANY = 10**12  # training images, of which none is seen more often because of least_images

Training = list[dict[str, object]]  # of each model up to depth


@dataclass(frozen=True)
class Images:
    """What is known of the images: their shape, the number of classes, and of training images or None."""

    shape: Image
    classes: int
    count: int | None


class Trainings:
    """The trainings of the trials of a search; `images` is None if their shape is not known yet."""

    def __init__(self, content: Mapping[str, Any], space: Space, images: Images | None) -> None:
        self.content, self.space, self._images = content, space, images
        self._known: dict[str, Training | InputError] = {}
        self._starts: dict[str, dict[str, dict[str, Shape]]] = {}

    def describe(self, values: Mapping[str, Value]) -> Training | InputError:
        """Return what a trial trains each model up to depth with, or the faults of settings that can't be trained."""
        key = json.dumps(dict(values), sort_keys=True)
        if key not in self._known:
            try:
                self._known[key] = self._describe(values)
            except InputError as error:
                self._known[key] = error
        return self._known[key]

    def find_faults(self, values: Mapping[str, Value]) -> list[str]:
        """Return the faults of a trial's settings and of its whole ladder."""
        found = self.describe(values)
        return list(found.faults) if isinstance(found, InputError) else []

    def _describe(self, values: Mapping[str, Value]) -> Training:
        settings = check_settings(apply_changes(self.content, self.space.make_changes(values)))
        starts = self._read_starts(settings)
        plans = None
        if self._images:
            shape = settings.view_shape(self._images.shape)
            plans = plan_ladder(settings, shape, self._images.classes, starts)
        trained = [*settings.ancestors(settings.depth), settings.depth]
        return [
            _describe_start(settings, name, plans, starts.get(name, {})) | _describe_steps(settings, name, self._images)
            for name in trained
        ]

    def _read_starts(self, settings: Settings) -> dict[str, dict[str, Shape]]:
        """Read the shapes in the files that models start from, once for each choice of files."""
        key = json.dumps([[name, model.start] for name, model in settings.models.items()])
        if key not in self._starts:
            self._starts[key] = read_start_shapes(settings.models, Path())
        return self._starts[key]


def _describe_start(settings: Settings, name: str, plans: Plans | None, file: Mapping[str, Shape]) -> dict[str, object]:
    """Return the layers of a model and how each one starts; as in params.yaml if the images are not known."""
    model = settings.models[name]
    growth = "random" if model.after == SCRATCH else settings.growth
    if plans is None:
        network = model.model_dump(exclude={"epochs"}) | {"width": settings.network_width}
        return network | {"growth": growth, "dropout": settings.training.dropout}
    layers = plans[name]
    source = file if model.start else list_tensor_shapes(plans[model.after]) if model.after in plans else {}
    mapping = build_role_mapping(model, source, list_tensor_shapes(layers))
    return {
        "layers": layers,
        "start": model.start,
        "copied": dict(mapping.copied),
        "fresh": choose_starts(layers, mapping.fresh, growth),
        "dropout": settings.training.dropout if any(layer.kind == "fc" for layer in layers) else 0.0,
    }


def _describe_steps(settings: Settings, name: str, images: Images | None) -> dict[str, object]:
    """Return all that the steps of a model depend on, with `auto` resolved where the images are known."""
    training, dataset = settings.training, settings.dataset
    count = images.count if images else None
    crop: object = dataset.crop if training.crop else 0.0
    if images and training.crop:
        crop = [round(dataset.crop * side) for side in images.shape[1:]]  # pixels, as in training
    return training.model_dump(exclude=_RESOLVED) | {
        "peak_lr": settings.peak_lr(name),
        "batch_size": settings.batch_size(count) if count else training.batch_size,
        "flip": dataset.flip,
        "crop": crop if crop != [0, 0] else 0.0,
        "view": settings.view_shape(images.shape) if images else dataset.view,
        **_describe_epochs(settings, settings.models[name], name, count),
    }


def _describe_epochs(settings: Settings, model: Model, name: str, count: int | None) -> dict[str, object]:
    """Return the epochs of a model, and the schedule and the early stopping within them."""
    training = settings.training
    epochs = settings.epochs(name, count or _MANY)
    schedule = training.schedule.model_dump()
    if model.epochs is None and count is None:  # there may be more epochs
        least = settings.dataset.least_images
        rest = {"patience": training.patience, "skip_easy": training.skip_easy}
        return {"epochs": epochs, "least": least, "schedule": schedule, **rest}
    if isinstance(training.schedule, Plateau) and training.schedule.patience >= epochs:
        schedule = {"name": "constant"}  # the learning rate never falls
    patience = None if training.patience is None else min(training.patience, epochs)
    skip_easy = training.skip_easy if epochs > 1 else 0.0  # the first epoch has every image
    return {"epochs": epochs, "schedule": schedule, "patience": patience, "skip_easy": skip_easy}
