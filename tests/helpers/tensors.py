"""Starts and weights files as tensors of PyTorch, for tests that compute with networks."""

import torch

from deepen.growth import initialization as growth
from deepen.models import weights


def as_tensors(state):
    return {key: torch.from_numpy(array) for key, array in state.items()}


def draw_he_weights(layers, *, seed, model):
    return as_tensors(growth.draw_he_weights(layers, seed=seed, model=model))


def load_weights(path):
    card, state = weights.load_weights(path)
    return card, as_tensors(state)
