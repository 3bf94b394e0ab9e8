"""torchvision's networks with fewer channels, for images of 32x32: the real ones have 128 million parameters."""

import re

import torch

from deepen.convert import torchvision_import, torchvision_names
from deepen.convert.torchvision_names import LAYERS, lay_out, to_torchvision
from deepen.models.layers import list_tensor_shapes

SMALLER = {"64": "2", "128": "4", "256": "8", "512": "16", "4096": "12"}


def shrink(monkeypatch):
    """Replace the eight networks by small ones of equal depths."""
    for name, layers in LAYERS.items():
        monkeypatch.setitem(LAYERS, name, re.sub(r"(?<=-)\d+", lambda count: SMALLER[count[0]], layers))
    for module in (torchvision_names, torchvision_import):
        monkeypatch.setattr(module, "IMAGE", (3, 32, 32))


def random_state(layers, seed=0):
    """Return a state of random values under our names; variances are positive."""
    draws = torch.Generator().manual_seed(seed)
    state = {}
    for key, shape in list_tensor_shapes(layers).items():
        fan_in = max(1, torch.Size(shape[1:]).numel()) if len(shape) > 1 else 20
        state[key] = torch.randn(shape, generator=draws) * (2 / fan_in) ** 0.5
        if key.endswith("running_var"):
            state[key] = state[key].abs() + 0.5
    return state


def their_state(name, classes=4):
    """Return a state dict in the form of torchvision's network of this name."""
    layers = lay_out(name, classes)
    return {key: tensor.clone() for key, tensor in to_torchvision(layers, random_state(layers)).items()}
