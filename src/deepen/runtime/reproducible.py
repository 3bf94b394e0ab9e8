"""Make the computations of a library reproducible that takes no random generator."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from deepen.runtime.device import get_default_generator, seed_dropout


@contextmanager
def compute_reproducibly(device: torch.device, seed: int) -> Iterator[None]:
    """Seed PyTorch's own generator of a device, and have cuDNN compute deterministically, within this context.

    Afterwards the generator continues as before.
    """
    state = torch.mps.get_rng_state() if device.type == "mps" else get_default_generator(device).get_state()
    deterministic = torch.backends.cudnn.deterministic
    seed_dropout(device, seed)
    torch.backends.cudnn.deterministic = True
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic = deterministic
        if device.type == "mps":
            torch.mps.set_rng_state(state)
        else:
            get_default_generator(device).set_state(state)
