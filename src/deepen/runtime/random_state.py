"""Seed a device's own random generator for a while: for libraries that take no generator."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from deepen.runtime.device import get_default_generator, seed_dropout


@contextmanager
def seed_temporarily(device: torch.device, seed: int) -> Iterator[None]:
    """Seed PyTorch's own generator of a device within this context; afterwards it continues as before."""
    state = torch.mps.get_rng_state() if device.type == "mps" else get_default_generator(device).get_state()
    seed_dropout(device, seed)
    try:
        yield
    finally:
        if device.type == "mps":
            torch.mps.set_rng_state(state)
        else:
            get_default_generator(device).set_state(state)
