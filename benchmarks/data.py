"""What the benchmarks run on: the ladder's models, noise, and CIFAR-10 as JPEG files."""

import argparse
from pathlib import Path

import numpy as np

from deepen.datasets import load_dataset
from deepen.images import ImageSet
from deepen.layers import Layer, plan
from deepen.settings import load_settings


def ladder_layers(model: str, width: float) -> tuple[Layer, ...]:
    """A model of params.yaml for images of 3x32x32 in 10 classes."""
    return plan(load_settings().models[model].layers, width=width, image=(3, 32, 32), classes=10)


def random_images(count: int) -> ImageSet:
    """Noise, 3x32x32, with labels: speed does not depend on what the images show."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
    return ImageSet(images, rng.integers(0, 10, count), tuple("0123456789"))


def images_argument(description: str | None) -> Path:
    """The command line's one argument: a folder or archive of images with train/ and test/."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("images", type=Path, help="folder or archive with train/<class>/* and test/<class>/*")
    path: Path = parser.parse_args().images
    return path.resolve()


def real_images(path: Path) -> tuple[ImageSet, ImageSet]:
    """Training and test images of a folder or archive, all of one size."""
    dataset = load_settings().datasets["folder"].model_copy(update={"root": str(path)})
    return load_dataset(dataset, Path())
