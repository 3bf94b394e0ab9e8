"""Images from their source to three files: train, validation, test."""

import sys
from pathlib import Path

from deepen.datasets import load_dataset
from deepen.datasets.parts import PARTS
from deepen.datasets.repeats import repeats
from deepen.errors import some
from deepen.images import FEW, ImageSet, small_classes
from deepen.settings import load_settings
from pipeline import BASE, run


def prepare() -> None:
    settings, data = load_settings(), Path("data")
    parts = load_dataset(settings.dataset, BASE, data).with_held_out("validation", settings.val_fraction)
    for name in PARTS:
        images = parts.images[name]
        images.save(data / f"{name}.safetensors")
        what = f"{len(images)} images of shape {images.shape}, {len(images.classes)} classes"
        print(f"{name}: {what}, {parts.origins[name]}")
    for note in parts.notes:
        print(note)
    for warning in (*repeats(parts), *_small(parts.images["train"], "training"), *_small(parts.images["test"], "test")):
        print(f"warning: {warning}", file=sys.stderr)


def _small(images: ImageSet, part: str) -> list[str]:
    """A sentence on the classes that have few images."""
    found = [f"{name!r} {count}" for name, count in small_classes(images, FEW).items()]
    if not found:
        return []
    return [
        f"classes with fewer than {FEW} {part} images, too few to rely on: {', '.join(some(found))}; "
        "add images, and look at balanced_top1"
    ]


if __name__ == "__main__":
    run(prepare)
