"""Images from their source to three files: train, validation, test."""

import sys
from dataclasses import replace

from deepen.datasets import load_dataset
from deepen.datasets.parts import PARTS
from deepen.datasets.repeats import repeats
from deepen.errors import some
from deepen.images import FEW, ImageSet, small_classes
from deepen.settings import load_settings
from pipeline import BASE, files, require_unchanged, run
from pipeline.source import require_same_source


def prepare() -> None:
    settings = load_settings()
    parts = load_dataset(settings.dataset, BASE, files.TRAIN.parent)
    parts = parts.with_held_out("validation", settings.val_fraction)
    repeated = repeats(parts)
    require_unchanged()
    require_same_source(settings.dataset, BASE, files.SOURCE)
    for name in PARTS:
        images = replace(parts.images[name], origin=parts.origins[name], notes=tuple(repeated))
        images.save(files.TRAIN.with_name(f"{name}.safetensors"))
        what = f"{len(images)} images of shape {images.shape}, {len(images.classes)} classes"
        print(f"{name}: {what}, {images.origin}")
    for note in parts.notes:
        print(note)
    for warning in (*repeated, *_small(parts.images["train"], "training"), *_small(parts.images["test"], "test")):
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
