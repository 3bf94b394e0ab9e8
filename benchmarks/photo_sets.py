"""Small sets of photos for benchmarks: sampled from a folder of images or drawn, then read as data set `folder`."""

import random
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.drawn_photos import draw_photos
from deepen.config.settings import Settings
from deepen.data.images import ImageSet
from deepen.datasets import load_dataset

SIZE = 32  # side in pixels that photos are resized to
TEST = 1500  # total number of test images


@dataclass(frozen=True)
class PhotoSet:
    """A set of training images; with `unequal`, class k has 1/k as many images as the first class.

    A set that is not `drawn` is sampled from the folder of images.
    """

    name: str
    images: int
    classes: int
    unequal: bool
    drawn: bool = False

    def counts(self) -> list[int]:
        """Return the number of training images of each class."""
        weights = [1 / (i + 1) if self.unequal else 1.0 for i in range(self.classes)]
        return [round(self.images * weight / sum(weights)) for weight in weights]


SETS = (
    PhotoSet("200 drawn", 200, 3, True, drawn=True),
    PhotoSet("600", 600, 5, False),
    PhotoSet("2,000", 2000, 6, True),
    PhotoSet("5,000", 5000, 10, False),
)


def write_set(wanted: PhotoSet, source: Path, folder: Path) -> None:
    """Write train/ and test/ of a set, drawn or sampled from those of `source`."""
    parts = {"train": wanted.counts(), "test": [TEST // wanted.classes] * wanted.classes}
    if wanted.drawn:
        for part, counts in parts.items():
            draw_photos(folder / part, counts, part)
        return
    classes = sorted(path.name for path in (source / "train").iterdir())
    chosen = random.Random(wanted.name).sample(classes, wanted.classes)
    for part, counts in parts.items():
        for name, count in zip(chosen, counts, strict=True):
            files = sorted((source / part / name).iterdir())
            (folder / part / name).mkdir(parents=True)
            for file in random.Random(wanted.name).sample(files, min(count, len(files))):
                shutil.copy(file, folder / part / name)


def load_set(wanted: PhotoSet, source: Path, settings: Settings) -> tuple[ImageSet, ImageSet]:
    """Return the training images, without those held out for validation, and the test images of a set."""
    with tempfile.TemporaryDirectory() as folder:
        write_set(wanted, source, Path(folder))
        dataset = settings.datasets["folder"].model_copy(update={"root": folder, "size": SIZE})
        parts = load_dataset(dataset, Path()).with_held_out("validation", settings.val_fraction)
        return parts.images["train"], parts.images["test"]
