"""The baseline of the benchmarks: plain PyTorch as in tutorials.

PIL images in a DataLoader, torchvision transforms of one image at a time, an nn.Sequential with PyTorch's default
memory format and initialization that ends in softmax, the loss read after each step, one pass over the test images
for each k.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from deepen.data.statistics import Statistics
from deepen.models.layers import Layer

Batches = DataLoader[tuple[Tensor, int]]  # the type of a data set's items; the loader makes both tensors


class PlainImages(Dataset[tuple[Tensor, int]]):
    """uint8 images (n, channels, height, width), each converted to a PIL image and transformed on access."""

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.int64], transform: v2.Transform) -> None:
        self.images, self.labels, self.transform = images.transpose(0, 2, 3, 1).copy(), labels, transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), int(self.labels[index])


class ColorShift:
    """AlexNet's colour shift of one image (channels, height, width)."""

    def __init__(self, statistics: Statistics) -> None:
        self.components = torch.tensor(statistics.eigenvectors) * torch.tensor(statistics.eigenvalues)

    def __call__(self, image: Tensor) -> Tensor:
        return image + (self.components @ (0.1 * torch.randn(3)))[:, None, None]


def make_training_transform(statistics: Statistics, size: int) -> v2.Transform:
    """Make the transform of training images: crop, flip, colour shift, mean."""
    return v2.Compose(
        [
            v2.RandomCrop(size, padding=size // 8, padding_mode="reflect"),
            v2.RandomHorizontalFlip(),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Lambda(ColorShift(statistics)),
            v2.Normalize(statistics.mean, [1.0] * 3),
        ]
    )


def make_test_transform(statistics: Statistics) -> v2.Transform:
    """Make the transform of test images: mean only."""
    return v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(statistics.mean, [1.0] * 3)])


def make_training_batches(images: PlainImages, batch_size: int, workers: int) -> Batches:
    """Make a loader of shuffled full batches; forked workers start fastest."""
    context = "fork" if workers else None
    return DataLoader(
        images, batch_size, shuffle=True, drop_last=True, num_workers=workers, multiprocessing_context=context
    )


def make_plain_network(layers: Sequence[Layer], dropout: float = 0.5) -> nn.Sequential:
    """Make a Sequential of the same layers, with softmax last."""
    modules: list[nn.Module] = []
    for layer in layers:
        if layer.kind == "conv":
            conv = nn.Conv2d(layer.inputs[0], layer.outputs[0], layer.kernel, padding=layer.padding)
            modules += [conv, nn.ReLU(inplace=True)]
        elif layer.kind == "maxpool":
            modules.append(nn.MaxPool2d(layer.kernel))
        else:
            modules += [nn.Flatten()] if len(layer.inputs) == 3 else []
            modules.append(nn.Linear(layer.tensors()[f"{layer.role}.weight"][1], layer.outputs[0]))
            modules += [nn.ReLU(inplace=True), nn.Dropout(dropout)] if layer.kind == "fc" else [nn.Softmax(1)]
    return nn.Sequential(*modules)


def make_plain_optimizer(network: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(network.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)


def run_plain_epoch(network: nn.Module, batches: Batches, optimizer: torch.optim.Optimizer) -> float:
    """Train for an epoch with cross-entropy on the softmax's output; return the mean loss."""
    network.train()
    total = 0.0
    for images, labels in batches:
        optimizer.zero_grad()
        loss = functional.cross_entropy(network(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        total += loss.item()
    return total / len(batches)


@torch.no_grad()
def compute_plain_topk(network: nn.Module, batches: Batches, ks: Sequence[int] = (1, 2, 3, 4, 5)) -> list[float]:
    """Compute top-k accuracies (percent) with flip averaging, one pass for each k."""
    network.eval()
    accuracies = []
    for k in ks:
        correct = total = 0
        for images, labels in batches:
            probabilities = (network(images) + network(images.flip(3))) / 2
            correct += (probabilities.topk(k).indices == labels[:, None]).any(1).sum().item()
            total += len(labels)
        accuracies.append(100 * correct / total)
    return accuracies
