"""State dicts as NumPy has them, and their checksum, without PyTorch."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deepen.core.checksums import checksum

if TYPE_CHECKING:
    from torch import Tensor

State = dict[str, NDArray[Any]]  # the tensors of a network by name


def as_arrays(state: "Mapping[str, NDArray[Any] | Tensor]") -> State:
    """A state dict as NumPy has it; what is on the CPU is not copied."""
    return {
        key: tensor if isinstance(tensor, np.ndarray) else tensor.detach().cpu().numpy()
        for key, tensor in state.items()
    }


def tensors_checksum(text: str, tensors: "Mapping[str, NDArray[Any] | Tensor]") -> str:
    """The SHA-256 of a text and of tensors by name, as 64 hexadecimal digits."""
    parts: list[Any] = []
    for name, tensor in sorted(tensors.items()):
        kind = str(tensor.dtype).removeprefix("torch.")
        parts += [f"({name!r}, torch.{kind}, {tuple(tensor.shape)})".encode()]  # torch.: as files have had it
        parts += [_bytes(tensor).data]
    return checksum(text, parts)


def _bytes(tensor: "NDArray[Any] | Tensor") -> NDArray[np.uint8]:
    """A tensor's bytes, also of a type that NumPy does not have."""
    if isinstance(tensor, np.ndarray):
        return np.asarray(tensor, order="C").reshape(-1).view(np.uint8)
    from torch import uint8

    return np.asarray(tensor.detach().cpu().contiguous().reshape(-1).view(uint8).numpy())
