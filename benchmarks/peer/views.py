"""Test top-1 of the peer, from one view and from six: three positions, each with its mirror image."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.peer.images import Normalization
from deepen.data.images import ImageSet
from deepen.evaluation.accuracy import rank_labels
from deepen.runtime.device import autocast

_BATCH = 2000


@torch.inference_mode()
def evaluate_peer(
    network: nn.Module, images: ImageSet, normalize: Normalization, device: torch.device, dtype: torch.dtype
) -> tuple[float, float]:
    """Return top-1 (percent) from one view and from the mean logits of six."""
    network.eval()
    correct = torch.zeros(2, dtype=torch.int64, device=device)
    for start in range(0, len(images), _BATCH):
        pixels = torch.from_numpy(images.images[start : start + _BATCH].transpose(0, 2, 3, 1).copy()).to(device)
        labels = torch.from_numpy(images.labels[start : start + _BATCH]).to(device)
        with autocast(device, dtype):
            single, averaged = infer(network, normalize(pixels))
        correct += torch.stack([(rank_labels(each, labels) == 0).sum() for each in (single, averaged)])
    single_top1, averaged_top1 = (100 * correct.double() / len(images)).tolist()
    return single_top1, averaged_top1


def infer(network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logits of images, and the mean logits of six views of them.

    The views are the image, one shifted by a pixel down and right, one up and left, over a reflected border, and their
    mirror images; the unshifted two count half.
    """
    side = images.shape[2]
    padded = functional.pad(images, (1, 1, 1, 1), mode="reflect")
    shifted = [padded[:, :, :side, :side], padded[:, :, 2:, 2:]]
    single = network(images).float()
    centre = (single + network(images.flip(3)).float()) / 2
    others = torch.stack([network(view).float() for each in shifted for view in (each, each.flip(3))]).mean(0)
    return single, (centre + others) / 2
