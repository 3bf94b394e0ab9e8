"""Make the trainer of a model of params.yaml."""

import torch

from deepen.config.settings import Settings
from deepen.data.augmentation import Augmentation
from deepen.data.images import ImageSet
from deepen.data.statistics import Statistics
from deepen.models.vgg import VGG
from deepen.runtime.device import choose_dtype
from deepen.runtime.group import SINGLE_PROCESS, Group
from deepen.training.trainer import Trainer


def make_trainer(
    settings: Settings,
    model: str,
    network: VGG,
    images: ImageSet,
    statistics: Statistics,
    device: torch.device,
    *,
    epochs: float | None = None,
    group: Group = SINGLE_PROCESS,
) -> Trainer:
    """Make a trainer with the recipe, seed and precision of the settings; `epochs` replaces those of the model."""
    return Trainer(
        network,
        images,
        statistics,
        Augmentation.of(settings.dataset, settings.training),
        settings.training,
        model=model,
        peak_lr=settings.peak_lr(model),
        epochs=settings.epochs(model, len(images)) if epochs is None else epochs,
        seed=settings.seed,
        device=device,
        dtype=choose_dtype(settings.precision, device),
        group=group,
    )
