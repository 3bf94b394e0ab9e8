"""Images from their source to three files: train, validation, test."""

import sys
from pathlib import Path

from deepen.datasets import load_dataset
from deepen.datasets.split import hold_out
from deepen.errors import some
from deepen.images import FEW, ImageSet, small_classes
from deepen.settings import load_settings
from pipeline import BASE, require_unchanged, run


def prepare() -> None:
    settings, data = load_settings(), Path("data")
    train, test = load_dataset(settings.dataset, BASE, data)
    train, validation = hold_out(train, settings.val_fraction, "validation")
    require_unchanged()
    for name, images in (("train", train), ("validation", validation), ("test", test)):
        images.save(data / f"{name}.safetensors")
        print(f"{name}: {len(images)} images of shape {images.shape}, {len(images.classes)} classes")
    _warn_of_small_classes(train, "training")
    _warn_of_small_classes(test, "test")


def _warn_of_small_classes(images: ImageSet, part: str) -> None:
    found = [f"{name!r} {count}" for name, count in small_classes(images, FEW).items()]
    if found:
        print(
            f"warning: classes with fewer than {FEW} {part} images, too few to rely on: {', '.join(some(found))}; "
            "add images, and look at balanced_top1",
            file=sys.stderr,
        )


if __name__ == "__main__":
    run(prepare)
