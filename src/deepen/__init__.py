"""Deepen trains a shallow VGG-style network, then grows it deeper, and measures what growing buys."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from os import PathLike

    from deepen.config.recipes import ViewKind
    from deepen.inference.classifier import Classifier

__version__ = "0.1.0"


def load(
    weights: "str | PathLike[str]",
    device: str = "auto",
    flip_averaging: bool | None = None,
    views: "ViewKind" = "centre",
) -> "Classifier":
    """A trained network, ready to be asked: `deepen.load("weights/III.safetensors").predict(["photo.jpg"])`.

    `device` is `auto`, `cpu`, `mps`, `cuda` or `cuda:1`. Probabilities are the mean over an image and its mirror image
    where `flip_averaging`, which by default holds for networks of data that may be flipped. A network that was trained
    on a `view` of larger images looks at their centre, at a grid of `crops`, or everywhere (`dense`). Raises
    InputError, a ValueError, where the file is not that of a network or the device not there.
    """
    from pathlib import Path

    from deepen.inference.classifier import Classifier  # which imports PyTorch

    return Classifier(Path(weights), device, flip_averaging, views)
