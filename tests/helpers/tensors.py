"""Starts and weights files as tensors of PyTorch, for tests that compute with networks."""

import torch

from deepen.growth import initialization as growth
from deepen.models import weights


def as_tensors(state):
    return {key: torch.from_numpy(array) for key, array in state.items()}


def draw_he_weights(layers, *, seed, model):
    return as_tensors(growth.draw_he_weights(layers, seed=seed, model=model))


def assert_same_tensors(one, other):
    """Two dictionaries have the same tensors, bit for bit; the message names each other one and its largest difference."""
    assert one.keys() == other.keys()
    differences = {
        name: f"differs by up to {(one[name].double() - other[name].double()).abs().max().item():.3g}"
        for name in one
        if not torch.equal(one[name], other[name])
    }
    assert not differences, differences


def load_weights(path):
    card, state = weights.load_weights(path)
    return card, as_tensors(state)
