"""The network of cifar10-airbench (arXiv 2404.00498, section 3): whitened patches, then three blocks."""

import torch
from torch import Tensor, nn
from torch.nn import functional

IMAGE = (3, 32, 32)
CHANNELS = (64, 256, 256)  # of the blocks, at width 1
PATCH = 2  # side of the whitened patches
WHITENED = 2 * IMAGE[0] * PATCH**2  # each eigenvector of the patches, and its negative
_EPSILON = 5e-4  # added to the eigenvalues
_NORM_EPSILON, _NORM_MOMENTUM = 1e-12, 0.4  # PyTorch's momentum: the weight of the new batch


class PeerNetwork(nn.Module):
    """Logits (batch, classes) of normalized images (batch, 3, 32, 32).

    The first convolution whitens patches with fixed weights; its bias learns. Batch norms have no scale, the head no
    bias. The logits are divided by `divisor`, or if that is 0 by the number of the head's inputs.
    """

    def __init__(self, whitening: Tensor, *, width: float, classes: int, divisor: float) -> None:
        super().__init__()
        self.whitening = nn.Conv2d(IMAGE[0], WHITENED, PATCH)
        self.whitening.weight = nn.Parameter(whitening.clone(), requires_grad=False)
        blocks: list[nn.Module] = []
        inputs = WHITENED
        for outputs in scale_channels(width):
            blocks += _make_block(inputs, outputs)
            inputs = outputs
        self.blocks = nn.Sequential(*blocks, nn.MaxPool2d(3), nn.Flatten())
        self.head = nn.Linear(inputs, classes, bias=False)
        self._divisor = divisor or inputs

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.blocks(functional.gelu(self.whitening(images))))
        return logits / self._divisor


def scale_channels(width: float) -> list[int]:
    """Return the channels of the blocks."""
    return [max(1, round(channels * width)) for channels in CHANNELS]


def _make_block(inputs: int, outputs: int) -> list[nn.Module]:
    first = [_make_convolution(inputs, outputs), nn.MaxPool2d(2), _make_norm(outputs), nn.GELU()]
    return [*first, _make_convolution(outputs, outputs), _make_norm(outputs), nn.GELU()]


def _make_convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """Make a convolution whose first channels return its input; the other weights are random."""
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    nn.init.dirac_(convolution.weight[:inputs])
    return convolution


def _make_norm(channels: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels, eps=_NORM_EPSILON, momentum=_NORM_MOMENTUM)
    norm.weight.requires_grad_(False)
    return norm


def compute_whitening(images: Tensor) -> Tensor:
    """Compute the weights (24, 3, 2, 2) that whiten the patches of normalized images (n, 3, 32, 32).

    They are the eigenvectors of the patches' second moments, each divided by the root of its eigenvalue, and their
    negatives.
    """
    size = WHITENED // 2
    moments = torch.zeros(size, size, dtype=torch.float64, device=images.device)
    for chunk in torch.split(images, 500):
        patches = functional.unfold(chunk, PATCH).transpose(1, 2).reshape(-1, size).double()
        moments += patches.T @ patches
    count = len(images) * (IMAGE[1] - PATCH + 1) * (IMAGE[2] - PATCH + 1)
    values, vectors = torch.linalg.eigh(moments.cpu() / count)
    scaled = (vectors / (values + _EPSILON).sqrt()).T.reshape(size, IMAGE[0], PATCH, PATCH).float()
    return torch.cat([scaled, -scaled])


def count_peer_flops(width: float, classes: int, *, bias_learns: bool) -> int:
    """Return the FLOPs of a training step on one image, counted as `deepen.models.layers.count_training_flops` does.

    The whitening needs the forward pass only. The gradient of the next convolution's input is computed only while the
    whitening's bias learns.
    """
    one, two, three = scale_channels(width)
    learning = [(one, one, 15), (one, two, 15), (two, two, 7), (two, three, 7), (three, three, 3)]
    flops = 2 * IMAGE[0] * PATCH**2 * WHITENED * 31**2
    flops += (2 + bias_learns) * 2 * 9 * WHITENED * one * 31**2
    flops += 3 * sum(2 * 9 * inputs * outputs * side**2 for inputs, outputs, side in learning)
    return flops + 3 * 2 * three * classes
