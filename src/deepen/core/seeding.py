"""Seeds and random generators derived from names such as (seed, model, epoch, step): no state to save."""

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch

MOST_SEED = 2**63 - 1  # of params.yaml


def derive_seed(*names: str | int) -> int:
    """Return a 63-bit seed for a named use, for example derive_seed(seed, "III", "augmentation", epoch, step)."""
    digest = hashlib.blake2b(repr(names).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def make_generator(device: "torch.device | str", *names: str | int) -> "torch.Generator":
    """Return a new generator on `device` for a named use; equal names give equal numbers on one kind of device."""
    import torch

    return torch.Generator(device).manual_seed(derive_seed(*names))


def make_numpy_generator(*names: str | int) -> "np.random.Generator":
    """Return a NumPy generator for a named use; equal names give equal numbers."""
    import numpy as np

    return np.random.Generator(np.random.PCG64(derive_seed(*names)))
