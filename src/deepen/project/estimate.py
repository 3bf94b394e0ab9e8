"""Estimate how long a run will take on this machine, from steps of its models that are timed on random images."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from deepen.config.settings import Settings
from deepen.data.images import ImageSet
from deepen.data.statistics import compute_statistics
from deepen.datasets.parts import Part
from deepen.growth.initialization import draw_he_weights
from deepen.growth.ladder import plan_ladder
from deepen.models.layers import Layer, Shape, count_forward_flops, count_training_flops
from deepen.models.vgg import build_network
from deepen.runtime.device import choose_device
from deepen.training.from_settings import make_trainer

_TRIALS = 8  # steps that are timed after the first, which is slower
_MOST = 2.0  # seconds of these steps after which no more are timed
_SLOW = 2.0  # seconds of a step after which deeper models are not timed
_STAGE = 2.0  # seconds that a stage takes to start
_PIXELS = 3e7  # per second that are decoded


@dataclass(frozen=True)
class Estimate:
    """The estimated seconds of a run, its device, and the epochs of each model."""

    seconds: float
    device: str
    epochs: Mapping[str, int]


def estimate_run(
    settings: Settings, image: tuple[int, int, int], classes: int, parts: Mapping[Part, int], pixels: float
) -> Estimate:
    """Estimate a run of all stages for images of this shape, so many in each part, from files of so many `pixels`.

    Raises InputError if a model can't take the images.
    """
    device = choose_device(settings.device, settings.cpu_threads)
    plans = plan_ladder(settings, settings.view_shape(image), classes)
    images = _draw_images(settings.batch_size(parts["train"]), image, classes)
    seconds = pixels / _PIXELS + _STAGE * (6 + 3 * len(plans))
    step, before = 0.0, 0
    for name, layers in plans.items():
        flops = count_training_flops(layers)
        step = step * flops / before if step > _SLOW else time_step(settings, name, layers, images, device)
        before = flops
        seconds += step * _count_steps(settings, name, layers, parts)
    return Estimate(seconds, device.type, {name: settings.epochs(name, parts["train"]) for name in plans})


def time_step(settings: Settings, name: str, layers: Sequence[Layer], images: ImageSet, device: torch.device) -> float:
    """Return the seconds of a training step on all of some images, on a machine that is idle: the least of several.

    The clock of a CPU's steps stands still while other programs use the CPU: they wait for the kernels' threads.
    """
    recipe = settings.recipes[settings.recipe]
    training = recipe.training.model_copy(update={"batch_size": len(images)})
    recipes = {settings.recipe: recipe.model_copy(update={"training": training})}
    weights = draw_he_weights(layers, seed=settings.seed, model=name)
    trainer = make_trainer(
        settings.model_copy(update={"recipes": recipes}),
        name,
        build_network(layers, weights, training.dropout),
        images,
        compute_statistics(images.images),
        device,
        epochs=1000,
    )
    read_clock = time.thread_time if device.type == "cpu" else time.perf_counter
    seconds, end = list[float](), math.inf
    while len(seconds) <= _TRIALS and time.perf_counter() < end:
        start = read_clock()
        trainer.run_epoch(len(seconds) + 1, lambda: None)
        seconds.append(read_clock() - start)
        end = min(end, time.perf_counter() + _MOST)
    return min(seconds)


def _draw_images(count: int, shape: Shape, classes: int) -> ImageSet:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (count, *shape), dtype=np.uint8)
    return ImageSet(images, np.arange(count) % classes, tuple(map(str, range(classes))))


def _count_steps(settings: Settings, name: str, layers: Sequence[Layer], parts: Mapping[Part, int]) -> float:
    """Return the training steps that take as long as training a model, validating it each epoch, and testing it."""
    views = 2 if settings.dataset.flip and settings.evaluation.flip_averaging else 1
    evaluated = parts["validation"] * settings.epochs(name, parts["train"]) + views * parts["test"]
    images = evaluated * count_forward_flops(layers) / count_training_flops(layers)
    return settings.steps(name, parts["train"]) + images / settings.batch_size(parts["train"])
