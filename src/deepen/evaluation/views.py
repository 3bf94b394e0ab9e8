"""What a network looks at of an image that is larger than what it takes: the centre, a grid of crops, or everywhere."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from deepen.config.recipes import ViewKind
from deepen.models.vgg import VGG

_GRID = 5  # crops along each side (arXiv 1409.1556, section 4.3)


@dataclass(frozen=True)
class Views:
    """How to look at images; `size` (height, width) is what the network takes, None where images have that size.

    `centre`: one view, of the middle. `crops`: a grid of 5x5 views from edge to edge, fewer where some are one and the
    same. `dense`: the network's fully-connected layers become convolutions, the whole image goes through it, and the
    logits are averaged over all places (arXiv 1409.1556, section 3.2).
    """

    kind: ViewKind = "centre"
    size: tuple[int, int] | None = None

    def centre(self, images: Tensor) -> Tensor:
        """The middle of images (batch, channels, height, width), to the left and above where it can't be exact."""
        if self.size is None:
            return images
        (height, width), (rows, columns) = self.size, images.shape[2:]
        y, x = (rows - height) // 2, (columns - width) // 2
        return images[:, :, y : y + height, x : x + width]

    def logits(self, network: nn.Module, images: Tensor, *, mirrored: bool) -> Iterator[Tensor]:
        """Logits, float32 (batch, classes), of each view of images (batch, channels, height, width).

        With `mirrored` each view is followed by its mirror image.
        """
        for view in self._views(images):
            for each in (view, view.flip(3)) if mirrored else (view,):
                yield (dense_logits(network, each) if self.kind == "dense" else network(each)).float()

    def _views(self, images: Tensor) -> Iterator[Tensor]:
        if self.kind == "crops" and self.size is not None:
            height, width = self.size
            for y in _starts(images.shape[2] - height):
                for x in _starts(images.shape[3] - width):
                    yield images[:, :, y : y + height, x : x + width]
        else:
            yield images if self.kind == "dense" else self.centre(images)


WHOLE = Views()


def _starts(spare: int) -> list[int]:
    """Where the crops along a side start, evenly from 0 to what is `spare`."""
    return sorted({round(i * spare / (_GRID - 1)) for i in range(_GRID)})


def dense_logits(network: nn.Module, images: Tensor) -> Tensor:
    """The mean over all places of logits (batch, classes, height, width) of images at least as large as the network's.

    The first fully-connected layer becomes a convolution as large as what it takes, the others 1x1. Raises TypeError
    where the network is none of this project.
    """
    if not isinstance(network, VGG):
        raise TypeError(f"{type(network).__name__} has no layers that could be convolutions")
    x = network.features(images)
    for layer in network.layers:
        if layer.kind in ("fc", "head"):
            shape = layer.inputs if len(layer.inputs) == 3 else (*layer.inputs, 1, 1)
            linear = network.get_submodule(layer.role)
            assert isinstance(linear, nn.Linear)
            x = functional.conv2d(x, linear.weight.view(-1, *shape), linear.bias)
            x = x if layer.kind == "head" else functional.relu(x, inplace=True)
    return x.flatten(2).mean(2)
