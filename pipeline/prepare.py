"""Stage `prepare`: read the images, split them into train, validation and test, and report warnings."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from deepen.config.settings import load_settings
from deepen.core.counts import pluralize
from deepen.core.errors import trim
from deepen.core.files import write_text
from deepen.data.images import FEW, ImageSet
from deepen.datasets import load_dataset
from deepen.datasets.duplicates import find_duplicates
from deepen.datasets.parts import PARTS
from deepen.datasets.source import require_same_source
from pipeline.shared import files
from pipeline.shared.stage import BASE, require_unchanged, run


def prepare() -> None:
    settings = load_settings()
    parts = load_dataset(settings.dataset, BASE, files.TRAIN.parent, settings.data)
    parts = parts.with_held_out("validation", settings.val_fraction)
    repeated = find_duplicates(parts)
    require_unchanged()
    require_same_source(settings.dataset, BASE, files.SOURCE)
    for name in PARTS:
        images = replace(parts.images[name], origin=parts.origins[name], notes=tuple(repeated))
        images.save(files.TRAIN.with_name(f"{name}.safetensors"))
        size = f"{pluralize(len(images), 'image')} of shape {images.shape}, {len(images.classes)} classes"
        print(f"{name}: {size}, {images.origin}")
    small = _warn_of_small_classes({"training": parts.images["train"], "test": parts.images["test"]})
    _report_notes([*repeated, *small, *parts.warnings], parts.notes)


def _report_notes(warnings: Sequence[str], notes: Sequence[str]) -> None:
    """Write all warnings and notes to a file, one per line; print at most two lines, the last one naming the file."""
    lines = [*(f"warning: {warning}" for warning in warnings), *notes]
    write_text(files.NOTES, "".join(f"{line}\n" for line in lines or ["no warning"]))
    shown = lines if len(lines) <= _MOST else [*lines[: _MOST - 1], f"... and {len(lines) - 1} more in {files.NOTES}"]
    print(*shown, sep="\n", end="\n" * bool(shown), file=sys.stderr)


_MOST = 2  # lines printed besides one for each part


def _warn_of_small_classes(images: Mapping[str, ImageSet]) -> list[str]:
    """Return a warning that names the classes with few images in a part, if any; `images` has the parts."""
    sizes: dict[str, list[str]] = {}
    for part, each in images.items():
        for name, count in zip(each.classes, np.bincount(each.labels, minlength=len(each.classes)), strict=True):
            if count < FEW:
                sizes.setdefault(name, []).append(f"{count} {part}")
    if not sizes:
        return []
    small = [f"{name!r} ({', '.join(counts)})" for name, counts in sizes.items()]
    return [
        f"classes with fewer than {FEW} {' or '.join(images)} images, too few to rely on: {', '.join(trim(small))}; "
        "add images, and look at balanced_top1"
    ]


if __name__ == "__main__":
    run(prepare)
