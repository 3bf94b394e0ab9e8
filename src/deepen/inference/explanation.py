"""Saliency maps of images in any supported form, from a weights file."""

import warnings
from collections.abc import Iterable
from contextlib import closing
from os import PathLike

import numpy as np
import torch
from numpy.typing import NDArray

from deepen.core.errors import InputError, trim
from deepen.core.names import make_path
from deepen.core.packages import require_extra
from deepen.decoding.decode import UnreadableImage
from deepen.decoding.fitting import move_channels_first
from deepen.evaluation.views import Views
from deepen.inference.pictures import Picture, check_channels, decode_ahead
from deepen.models.networks import load_network
from deepen.models.weights import ModelCard
from deepen.runtime.device import find_device, move_to_device, reraise_out_of_memory
from deepen.saliency.maps import compute_maps

_BATCH = 64  # images that are decoded at a time


@torch.inference_mode(False)
def compute_saliency(
    weights: str | PathLike[str], images: Iterable[Picture] | Picture, device: str = "auto"
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Compute which pixels of images affect the score of the class that a network predicts.

    The map of an image is the gradient of the predicted class's logit with respect to the pixels, averaged over 50
    noisy copies of the image (SmoothGrad, arXiv 1706.03825). Of the absolute values, the highest of all channels counts
    (arXiv 1312.6034, section 3.1). Captum, the extra `saliency`, computes it in float32. Equal images and networks give
    equal maps on the same machine. A map shows what a network reacts to. It does not show why, or whether it is right
    (arXiv 1810.03292).

    Parameters
    ----------
    weights : path
        A weights file of this project.
    images : an image, or several
        As for `Classifier.predict`. The network sees their centre, and no mirror image.
    device : str
        As for `load`.

    Returns
    -------
    maps : float32 array (images, height, width)
        In units of the logit per unit of a pixel on the 0-1 scale; height and width are those of the network's input.
    classes : int64 array (images,)
        The predicted classes, as indices of `card.classes`.

    Raises
    ------
    InputError
        Captum is missing, the weights file is invalid, the device is not available, or images can't be read.
    """
    require_extra("compute_saliency", ["captum"], "saliency")
    path = make_path("weights", weights)
    card, network = load_network(path)
    check_channels(path, card.image[0])
    found = find_device(device)
    pixels = Views("centre", card.image[1:]).centre(torch.from_numpy(_decode(images, card)))
    with reraise_out_of_memory("computing saliency maps", found, "use device cpu"):
        return compute_maps(move_to_device(network, found), pixels.to(found), torch.tensor(card.mean, device=found))


def _decode(images: Iterable[Picture] | Picture, card: ModelCard) -> NDArray[np.uint8]:
    """Return prepared images, uint8 (images, channels, height, width); raises InputError for all that can't be read."""
    channels, height, width = card.prepared
    rows = [np.empty((0, channels, height, width), np.uint8)]
    faults: list[str] = []
    notes: list[str] = []
    with closing(decode_ahead(images, (height, width), channels, _BATCH)) as batches:
        for future in (future for batch in batches for future in batch):
            try:
                decoded = future.result()
                rows.append(move_channels_first(decoded.pixels)[None])
                notes += decoded.notes
            except UnreadableImage as error:
                faults.append(str(error))
    if faults:
        raise InputError(trim(faults))
    if notes:
        warnings.warn("\n".join(trim(notes)), stacklevel=4)  # the caller of compute_saliency, which a decorator wraps
    return np.concatenate(rows)
