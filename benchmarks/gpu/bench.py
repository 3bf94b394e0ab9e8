"""The inputs that the sections of the GPU check share: settings, planned models, images, device, sizes."""

import gc
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.data import BATCH
from deepen.config.settings import Settings, load_settings
from deepen.core.errors import InputError, quote
from deepen.data.augmentation import Augmentation
from deepen.data.images import ImageSet
from deepen.data.statistics import Statistics, compute_statistics
from deepen.datasets import load_dataset
from deepen.growth.initialization import draw_he_weights
from deepen.growth.ladder import Plans, plan_ladder
from deepen.models.vgg import build_network
from deepen.runtime.device import choose_device, choose_dtype
from deepen.training.trainer import Trainer

ROOT = Path(__file__).parents[2]
Parts = dict[str, ImageSet]


@dataclass(frozen=True)
class Size:
    """The extent of the check."""

    width: float = 1.0
    side: int = 8192  # of the matrices of the reference product
    steps: int = 100  # of an epoch whose time is taken
    epochs: dict[str, int] = field(default_factory=lambda: {"I": 24, "II": 24, "III": 40})  # the longer training
    usual_epochs: dict[str, int] | None = None  # None: those of params.yaml
    batches: tuple[int, ...] = (128, 256, 512, 1024)
    seeds: int = 10
    files: int = 4000  # image files to predict
    images: int | None = None  # training images; None: all


_SHORT = {"I": 1, "II": 1, "III": 2}
REHEARSAL = Size(
    width=0.03125,
    side=128,
    steps=2,
    epochs=_SHORT,
    usual_epochs=_SHORT,
    batches=(8, 16),
    seeds=2,
    files=20,
    images=600,
)


@dataclass(frozen=True)
class Bench:
    """What the sections measure with."""

    size: Size
    settings: Settings
    plans: Plans
    images: ImageSet
    test: ImageSet
    statistics: Statistics
    device: torch.device
    dtype: torch.dtype

    @property
    def ways(self) -> tuple[str, ...]:
        """How a step can run: only CUDA has graphs."""
        return ("eager", "graph") if self.device.type == "cuda" else ("eager",)

    def make_network(self, model: str, recipe: str) -> nn.Module:
        """Make a network with its random start."""
        layers = self.plans[model]
        return build_network(
            layers, draw_he_weights(layers, seed=0, model=model), self.settings.recipes[recipe].training.dropout
        )

    def make_trainer(
        self,
        model: str,
        net: nn.Module,
        recipe: str,
        *,
        epochs: int,
        seed: int = 0,
        batch: int | None = None,
        steps: int | None = None,
        replayed: bool = True,
    ) -> Trainer:
        """Make a trainer of a model; without a `batch` and `steps` of an epoch, on all images as params.yaml says."""
        settings = self.settings.model_copy(update={"recipe": recipe})
        images, training = self.images, settings.training
        if batch is not None:
            count = min(len(images), batch * min(steps or self.size.steps, self.size.steps))
            images = images.select(np.arange(count))
            training = training.model_copy(update={"batch_size": min(batch, count)})
        return Trainer(
            net,
            images,
            self.statistics,
            Augmentation.of(settings.dataset, settings.training),
            training,
            model=model,
            peak_lr=settings.peak_lr(model),
            epochs=epochs,
            seed=seed,
            device=self.device,
            dtype=self.dtype,
            replayed=replayed,
        )

    def start(
        self,
        model: str,
        recipe: str,
        *,
        epochs: int,
        batch: int = BATCH,
        steps: int | None = None,
        replayed: bool = True,
    ) -> Trainer:
        """Make a trainer of a model with its random start, on few images, after freeing what others left."""
        free_memory()
        net = self.make_network(model, recipe)
        return self.make_trainer(model, net, recipe, epochs=epochs, batch=batch, steps=steps, replayed=replayed)


def free_memory() -> None:
    """Free the memory that earlier trainings have left, and measure the peak from here."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def load_parts(path: Path, size: Size) -> Parts:
    """Load the training and test images of a folder or archive as `prepare` does, without those held out."""
    settings = load_settings(ROOT / "params.yaml")
    dataset = settings.datasets["folder"].model_copy(update={"root": str(path)})
    try:
        found = load_dataset(dataset, Path()).with_held_out("validation", settings.val_fraction).images
    except InputError as error:  # of params.yaml, it would be the setting `root`
        raise InputError([fault.replace("set root to", "set IMAGES to") for fault in error.faults]) from error
    return {
        "train": _copy(found["train"], size.images),
        "test": _copy(found["test"], size.images),
    }


def _copy(images: ImageSet, count: int | None) -> ImageSet:
    """Copy images, or `count` of them from all classes, to memory, so that another process can have them."""
    rows = np.linspace(0, len(images) - 1, min(count or len(images), len(images))).astype(np.intp)
    return ImageSet(images.batch(rows), images.labels[rows], images.classes)


def prepare(size: Size, parts: Parts, device: str) -> Bench:
    """Plan the ladder for the images, with the settings of data set `folder`."""
    images, test = parts["train"], parts["test"]
    settings = load_settings(ROOT / "params.yaml").model_copy(update={"width": size.width, "data": "folder"})
    placed = choose_device(device, settings.cpu_threads)
    plans = plan_ladder(settings, images.shape, len(images.classes))
    dtype = choose_dtype("auto", placed)
    return Bench(size, settings, plans, images, test, compute_statistics(images.images), placed, dtype)


def require(path: Path, *, gpu: bool) -> None:
    """Raise InputError if the path of the images does not exist, or there is no CUDA device that is needed."""
    faults = []
    if not path.exists():
        faults.append(
            f"{quote(path)}: no such file or directory; set IMAGES to a folder or an archive with train/<class>/*"
        )
    if gpu and not torch.cuda.is_available():
        faults.append(
            f"device: PyTorch {torch.__version__} finds no CUDA device; run this on a machine with a card, "
            "or try it on the CPU with --rehearse"
        )
    if faults:
        raise InputError(faults)


def outermost(plans: Plans) -> Sequence[str]:
    """Return the first and the last model of a ladder."""
    names = list(plans)
    return names if len(names) < 2 else [names[0], names[-1]]
