"""Compute saliency maps with Captum."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deepen.core.seeding import derive_seed
from deepen.data.augmentation import normalize
from deepen.runtime.device import permit_tf32, use_device
from deepen.runtime.reproducible import compute_reproducibly

SAMPLES = 50  # noisy copies of an image (arXiv 1706.03825, section 3.2)
NOISE = 0.15  # standard deviation of the noise, as a fraction of the range of the image's values (there: 0.1 to 0.2)
_AT_ONCE = 10  # copies in the network at a time; a fixed number, since the noise depends on it


def compute_maps(network: nn.Module, images: Tensor, mean: Tensor) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Compute the saliency maps of images for the classes that a network predicts, and these classes.

    `images` are uint8 (images, channels, height, width), 0-255, of the size of the network's input; `mean` (channels,)
    is on the 0-1 scale. Both are on the network's device. Returns maps, float32 (images, height, width), and classes,
    int64 (images,).

    A map is the gradient of the class's logit with respect to each pixel on the 0-1 scale, averaged over noisy copies
    of the image (SmoothGrad, arXiv 1706.03825). Of its absolute values, the highest of all channels counts (arXiv
    1312.6034, section 3.1). An image has the same map whichever other images there are.
    """
    with use_device(images.device), permit_tf32(False):
        answers = [_explain(network, normalize(image[None], mean)) for image in images]
    maps = np.empty((len(answers), *images.shape[2:]), np.float32)
    for row, (values, _) in enumerate(answers):
        maps[row] = values
    return maps, np.array([predicted for _, predicted in answers], np.int64)


def _explain(network: nn.Module, image: Tensor) -> tuple[NDArray[np.float32], int]:
    """Return the map (height, width) of one normalized image (1, channels, height, width), and the predicted class."""
    from captum.attr import NoiseTunnel, Saliency  # an extra, which may not be installed

    with torch.no_grad():
        predicted = int(network(image).argmax(1).item())
    with compute_reproducibly(image.device, derive_seed("saliency")):
        gradient: Tensor = NoiseTunnel(Saliency(network)).attribute(
            image,
            nt_type="smoothgrad",
            nt_samples=SAMPLES,
            nt_samples_batch_size=_AT_ONCE,
            stdevs=NOISE * float(image.amax() - image.amin()),
            target=predicted,
            abs=False,
        )
    return gradient[0].abs().amax(0).cpu().numpy(), predicted
