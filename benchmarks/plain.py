"""The plain way, as tutorials show it: what everything here is measured against.

PIL images in a DataLoader, torchvision transforms one image at a time, a network of nn.Sequential in PyTorch's default
layout and start that ends in softmax, the loss read after each step, a pass over the test images for each k.
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

Batches = DataLoader[tuple[Tensor, int]]  # of what a data set gives; the loader makes both tensors


class PlainImages(Dataset[tuple[Tensor, int]]):
    """uint8 images (n, channels, height, width), each made a PIL image and transformed when it is asked for."""

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.int64], transform: v2.Transform) -> None:
        self.images, self.labels, self.transform = images.transpose(0, 2, 3, 1).copy(), labels, transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), int(self.labels[index])


class ColorShift:
    """AlexNet's, of one image (channels, height, width)."""

    def __init__(self, statistics: Statistics) -> None:
        self.components = torch.tensor(statistics.eigenvectors) * torch.tensor(statistics.eigenvalues)

    def __call__(self, image: Tensor) -> Tensor:
        return image + (self.components @ (0.1 * torch.randn(3)))[:, None, None]


def for_training(statistics: Statistics, size: int) -> v2.Transform:
    """Crop, flip, colour shift, mean."""
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


def for_testing(statistics: Statistics) -> v2.Transform:
    """Mean alone."""
    return v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(statistics.mean, [1.0] * 3)])


def training_batches(images: PlainImages, batch_size: int, workers: int) -> Batches:
    """Shuffled whole batches; workers are forked, which starts them fastest."""
    context = "fork" if workers else None
    return DataLoader(
        images, batch_size, shuffle=True, drop_last=True, num_workers=workers, multiprocessing_context=context
    )


def plain_network(layers: Sequence[Layer], dropout: float = 0.5) -> nn.Sequential:
    """The same layers as a Sequential, softmax last."""
    modules: list[nn.Module] = []
    for layer in layers:
        if layer.kind == "conv":
            conv = nn.Conv2d(layer.inputs[0], layer.outputs[0], layer.kernel, padding=layer.kernel // 2)
            modules += [conv, nn.ReLU(inplace=True)]
        elif layer.kind == "maxpool":
            modules.append(nn.MaxPool2d(2))
        else:
            modules += [nn.Flatten()] if len(layer.inputs) == 3 else []
            modules.append(nn.Linear(layer.tensors()[f"{layer.role}.weight"][1], layer.outputs[0]))
            modules += [nn.ReLU(inplace=True), nn.Dropout(dropout)] if layer.kind == "fc" else [nn.Softmax(1)]
    return nn.Sequential(*modules)


def plain_optimizer(network: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(network.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)


def plain_epoch(network: nn.Module, batches: Batches, optimizer: torch.optim.Optimizer) -> float:
    """An epoch of cross-entropy on the softmax's output; returns the mean loss."""
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
def plain_topk(network: nn.Module, batches: Batches, ks: Sequence[int] = (1, 2, 3, 4, 5)) -> list[float]:
    """Top-k accuracy in percent with flip averaging, a pass for each k."""
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
