"""Views of test images: the centre, small shifts, a grid of crops, or dense evaluation."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from deepen.config.recipes import ViewKind
from deepen.models.vgg import VGG

_GRID = 5  # crops along each side (arXiv 1409.1556, section 4.3)


@dataclass(frozen=True)
class Views:
    """The views of an image; `size` (height, width) is the network's input, or None if images have that size.

    `centre`: one centre crop. `shifts`: that, and its shifts by one pixel to the upper left and to the lower right,
    with reflected edges (arXiv 2404.00498, section 3.5). `crops`: a grid of 5x5 crops from edge to edge, without
    duplicates. `dense`: the fully-connected layers become convolutions over the whole image, and the logits are
    averaged over all positions (arXiv 1409.1556, section 3.2).
    """

    kind: ViewKind = "centre"
    size: tuple[int, int] | None = None

    def centre(self, images: Tensor) -> Tensor:
        """Centre-crop images (batch, channels, height, width), rounding to the left and top."""
        if self.size is None:
            return images
        (height, width), (rows, columns) = self.size, images.shape[2:]
        y, x = (rows - height) // 2, (columns - width) // 2
        return images[:, :, y : y + height, x : x + width]

    def compute_logits(self, network: nn.Module, images: Tensor, *, mirrored: bool) -> Iterator[Tensor]:
        """Yield logits, float32 (batch, classes), of each view of images (batch, channels, height, width).

        With `mirrored` each view is followed by its mirror image.
        """
        for view in self._cut_views(images):
            for each in (view, view.flip(3)) if mirrored else (view,):
                yield (compute_dense_logits(network, each) if self.kind == "dense" else network(each)).float()

    def _cut_views(self, images: Tensor) -> Iterator[Tensor]:
        if self.kind == "crops" and self.size is not None:
            height, width = self.size
            for y in _starts(images.shape[2] - height):
                for x in _starts(images.shape[3] - width):
                    yield images[:, :, y : y + height, x : x + width]
        elif self.kind == "shifts":
            yield (centre := self.centre(images))
            mode = "reflect" if min(centre.shape[2:]) > 1 else "replicate"  # a single pixel has no neighbour
            larger = functional.pad(centre, (1, 1, 1, 1), mode)
            yield from (larger[:, :, :-2, :-2], larger[:, :, 2:, 2:])
        else:
            yield images if self.kind == "dense" else self.centre(images)


WHOLE = Views()


def _starts(spare: int) -> list[int]:
    """Return the offsets of the crops along a side, evenly spaced from 0 to `spare`."""
    return sorted({round(i * spare / (_GRID - 1)) for i in range(_GRID)})


def compute_dense_logits(network: nn.Module, images: Tensor) -> Tensor:
    """Compute logits at all positions of images at least as large as the network's input; return their mean.

    The first fully-connected layer becomes a convolution of the size of its input, the others 1x1. Raises TypeError if
    the network is not a VGG of this project.
    """
    if not isinstance(network, VGG):
        raise TypeError(f"{type(network).__name__} can't be evaluated densely; use a deepen VGG network")
    x = network.features(images)
    for layer in network.layers:
        if layer.kind in ("fc", "head"):
            shape = layer.inputs if len(layer.inputs) == 3 else (*layer.inputs, 1, 1)
            linear = network.get_submodule(layer.role)
            assert isinstance(linear, nn.Linear)
            x = functional.conv2d(x, linear.weight.view(-1, *shape), linear.bias)
            x = x if layer.kind == "head" else functional.relu(x, inplace=True)
    return x.flatten(2).mean(2)
