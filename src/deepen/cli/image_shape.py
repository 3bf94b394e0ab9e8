"""The shape of the images that a ladder is for: given, prepared, or known of the data set."""

import argparse
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from deepen.core.errors import InputError, quote

if TYPE_CHECKING:
    from deepen.config.dataset_settings import Folder, Image
    from deepen.config.settings import Settings
    from deepen.data.images import ImageSet

TRAIN = Path("data/train.safetensors")
CLASSES = 10
UNKNOWN = sys.maxsize  # the number of training images if it is not known

_Known = tuple["Image", int, int]  # shape of an image, number of classes, number of training images or UNKNOWN


def read_image_shape(settings: "Settings", options: argparse.Namespace) -> _Known:
    """Return the shape of an image, the number of classes, and the number of training images or UNKNOWN."""
    if options.image is None:
        if options.classes is not None:
            option = _suggest_option(settings, options.project)
            raise InputError(f"--classes {options.classes}: requires --image; add {option}")
        return _read_prepared(settings, options.project) or _get_known(settings, options.project)
    image = parse_image(options.image)
    classes = CLASSES if options.classes is None else options.classes
    if classes < 2:
        raise InputError(f"--classes {classes}: must be at least 2; write for example --classes {CLASSES}")
    return image, classes, UNKNOWN


def find_image_shape(settings: "Settings", project: Path) -> _Known | None:
    """Return what is known of the images of a project; None if they are not prepared, and of any shape."""
    from deepen.config.dataset_settings import Folder

    known = _read_prepared(settings, project)
    return known if known or isinstance(settings.dataset, Folder) else _get_known(settings, project)


def _read_prepared(settings: "Settings", project: Path) -> _Known | None:
    """Return what is known of the prepared images; None if they are missing, or those of another data set."""
    from deepen.data.images import load_images

    path = project / TRAIN
    if not path.is_file() or not _belongs(settings, project, images := load_images(path)):
        return None
    return images.shape, len(images.classes), len(images)


def _belongs(settings: "Settings", project: Path, images: "ImageSet") -> bool:
    """Return whether prepared images may be those of the data set in params.yaml."""
    from deepen.config.dataset_settings import Folder
    from deepen.datasets.image_sets import data_name

    dataset = settings.dataset
    if not isinstance(dataset, Folder):
        return (images.shape, len(images.classes)) == dataset.known_shape
    is_sized = dataset.size is None or images.shape[1:] == (dataset.size, dataset.size)
    return is_sized and images.name == data_name(dataset.path(project))


def _get_known(settings: "Settings", project: Path) -> _Known:
    """Return what is known of a data set that is not prepared; raises InputError if that is nothing."""
    from deepen.config.dataset_settings import Folder

    if isinstance(settings.dataset, Folder):
        path = project / TRAIN
        state = f"has images of another data set than data: {settings.data}" if path.is_file() else "no such file"
        raise InputError(f"{quote(path)}: {state}; run dvc repro prepare, or add {_suggest_option(settings, project)}")
    return *settings.dataset.known_shape, UNKNOWN


def _suggest_option(settings: "Settings", project: Path) -> str:
    """Return for example `--image 1x8x8`, of the data set; if its images are not available, the form of the option."""
    from deepen.config.dataset_settings import Folder

    dataset = settings.dataset
    if not isinstance(dataset, Folder):
        return _format_option(dataset.known_shape[0])
    if (image := _measure_first(dataset, project)) is not None:
        return _format_option(image)
    return f"--image CxHxW, for example {_format_option(dataset.likely_shape)}"


def _format_option(image: "Image") -> str:
    return f"--image {'x'.join(map(str, image))}"


def _measure_first(dataset: "Folder", project: Path) -> "Image | None":
    """Return the shape that the first image of a folder will have; None for an archive, or without a readable image."""
    from deepen.datasets.walk import Walk
    from deepen.decoding.measuring import measure_image

    with suppress(ValueError, OSError):  # reading the images tells what is wrong with them
        root = dataset.path(project)
        entries = Walk(root) if root.is_dir() else ()
        if form := next((measure_image(entry.read()) for entry in entries if entry.read), None):
            return 1 if form.is_grey else 3, dataset.size or form.height, dataset.size or form.width
    return None


def parse_image(text: str) -> tuple[int, int, int]:
    """Parse the value of --image, `CxHxW`, into (channels, height, width)."""
    sides = text.split("x")
    if len(sides) != 3 or not all(side.isascii() and side.isdecimal() and 0 < int(side) <= 65_536 for side in sides):
        raise InputError(f"--image {text[:60]}: must be channels, height and width; write for example --image 3x32x32")
    channels, height, width = map(int, sides)
    return channels, height, width
