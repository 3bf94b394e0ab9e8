"""Random numbers as a function of what they are for, so that nothing has to be remembered between steps."""

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch


def derive(*names: str | int) -> int:
    """A 63-bit seed for a named use, for example derive(seed, "III", "augmentation", epoch, step)."""
    digest = hashlib.blake2b(repr(names).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(device: "torch.device | str", *names: str | int) -> "torch.Generator":
    """A fresh generator on `device` for a named use; equal names give equal numbers on one kind of device."""
    import torch

    return torch.Generator(device).manual_seed(derive(*names))


def numpy_generator(*names: str | int) -> "np.random.Generator":
    """NumPy's generator for a named use; equal names give equal numbers."""
    import numpy as np

    return np.random.Generator(np.random.PCG64(derive(*names)))
