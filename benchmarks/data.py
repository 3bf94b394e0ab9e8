"""Models and images for the benchmarks: the ladder's models, noise, and folders such as CIFAR-10 as JPEG files."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from deepen.config.recipes import TrainingSettings
from deepen.config.settings import load_settings
from deepen.core.errors import InputError
from deepen.data.augmentation import Augmentation
from deepen.data.images import ImageSet
from deepen.data.statistics import Statistics
from deepen.datasets import load_dataset
from deepen.growth.initialization import draw_he_weights
from deepen.models.layers import Layer, plan
from deepen.models.vgg import build_network
from deepen.runtime.group import SINGLE_PROCESS, Group
from deepen.training.trainer import Trainer

T = TypeVar("T")
BATCH = 128  # images per training step, independent of the number of images
GREY = Statistics((1,), (0.5,) * 3, (0.1,) * 3, ((1, 0, 0), (0, 1, 0), (0, 0, 1)), ())  # of noise, approximately


def plan_model(model: str, width: float) -> tuple[Layer, ...]:
    """Plan a model of params.yaml for images of 3x32x32 in 10 classes."""
    return plan(load_layers(model), width=width, image=(3, 32, 32), classes=10)


def load_layers(model: str) -> str:
    """Return the layers of a model of params.yaml, in their notation; raises InputError."""
    return _find(load_settings().models, "model", model).layers


def _find(known: Mapping[str, T], kind: str, name: str) -> T:
    if name not in known:
        raise InputError(f"params.yaml: has no {kind} {name}, which is measured; use that of the repository")
    return known[name]


def make_random_images(count: int) -> ImageSet:
    """Make labelled noise images of 3x32x32: speed does not depend on the content."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
    return ImageSet(images, rng.integers(0, 10, count), tuple("0123456789"))


def make_noise_trainer(
    images: ImageSet,
    model: str,
    width: float,
    recipe: str = "onecycle",
    *,
    epochs: float,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    group: Group = SINGLE_PROCESS,
) -> Trainer:
    """Make a trainer for a model of params.yaml on noise, with a learning rate too low to change much."""
    layers = plan_model(model, width)
    training = fix_batch_size(_find(load_settings().recipes, "recipe", recipe).training)
    return Trainer(
        build_network(layers, draw_he_weights(layers, seed=0, model=model), training.dropout),
        images,
        GREY,
        Augmentation(flip=True, crop=0.125, color_shift=0.1),
        training,
        model=model,
        peak_lr=1e-6,
        epochs=epochs,
        seed=0,
        device=device,
        dtype=dtype,
        group=group,
    )


def fix_batch_size(training: TrainingSettings) -> TrainingSettings:
    """Return the same settings with a fixed batch size."""
    return training.model_copy(update={"batch_size": BATCH})


def parse_images_argument(description: str | None) -> Path:
    """Parse the command line's only argument: a folder or archive of images with train/ and test/."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("images", type=Path, help="folder or archive with train/<class>/* and test/<class>/*")
    path: Path = parser.parse_args().images
    return path.resolve()


def load_real_images(path: Path) -> tuple[ImageSet, ImageSet]:
    """Load the training and test images of a folder or archive, all of one size."""
    dataset = load_settings().datasets["folder"].model_copy(update={"root": str(path)})
    images = load_dataset(dataset, Path()).images
    return images["train"], images["test"]
