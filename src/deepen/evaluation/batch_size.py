"""Choose how many images a network evaluates at once during training."""

from collections.abc import Sequence
from math import prod

import torch

from deepen.models.layers import Layer
from deepen.runtime.device import get_total_memory

_MOST = 500
_MEMORY_SHARE = 1 / 16  # of a GPU's memory for the activations of evaluation; training has most of it
_FLOAT32_BYTES = 4  # of an activation
_LARGEST_HELD = 3  # a layer's inputs and outputs, and what the allocator keeps of the layer before


def choose_validation_batch(layers: Sequence[Layer], trained: int, device: torch.device) -> int:
    """Return how many images to validate at once where training takes `trained`, which are known to fit.

    On a GPU, which small batches leave idle, as many as fit in a share of its memory if the `layers` are known. Never
    more than 500.
    """
    known = min(_MOST, max(1, trained))
    if device.type == "cpu" or not layers:
        return known
    return max(known, min(_MOST, int(_MEMORY_SHARE * get_total_memory(device)) // _count_bytes(layers)))


def _count_bytes(layers: Sequence[Layer]) -> int:
    """Estimate the memory (bytes) to evaluate one image: without gradients, a few layers' activations at a time."""
    largest = max(prod(shape) for layer in layers for shape in (layer.inputs, layer.outputs))
    return _FLOAT32_BYTES * _LARGEST_HELD * largest
