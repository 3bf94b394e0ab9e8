"""State dicts as NumPy arrays, their checksum and their validation, without importing PyTorch."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deepen.core.checksums import compute_checksum
from deepen.core.errors import quote
from deepen.models.layers import Shape

if TYPE_CHECKING:
    from torch import Tensor

State = dict[str, NDArray[Any]]  # the tensors of a network by name


def to_arrays(state: "Mapping[str, NDArray[Any] | Tensor]") -> State:
    """Convert a state dict to NumPy arrays; tensors on the CPU are not copied."""
    return {
        key: tensor if isinstance(tensor, np.ndarray) else tensor.detach().cpu().numpy()
        for key, tensor in state.items()
    }


def compute_tensors_checksum(text: str, tensors: "Mapping[str, NDArray[Any] | Tensor]") -> str:
    """Return the SHA-256 of a text and of tensors by name, as 64 hexadecimal digits."""
    parts: list[Any] = []
    for name, tensor in sorted(tensors.items()):
        kind = str(tensor.dtype).removeprefix("torch.")
        parts += [f"({name!r}, torch.{kind}, {tuple(tensor.shape)})".encode()]  # torch.: part of the file format
        parts += [_view_bytes(tensor).data]
    return compute_checksum(text, parts)


def find_tensor_faults(state: Mapping[str, NDArray[Any]], expected: Mapping[str, Shape]) -> list[str]:
    """Return how tensors by name differ from the expected names, shapes and dtype; NaN and infinity are faults too."""
    faults = [f"tensor {key} is missing" for key in expected if key not in state]
    faults += [f"unexpected tensor {quote(key)}" for key in sorted(state) if key not in expected]
    for key in (key for key in expected if key in state):
        shape, dtype = state[key].shape, state[key].dtype
        if shape != expected[key]:
            faults.append(f"tensor {key} has shape {shape}, expected {expected[key]}")
        elif dtype != np.float32:
            faults.append(f"tensor {key} has dtype {dtype}, expected float32")
        elif not np.isfinite(state[key]).all():
            faults.append(f"tensor {key} has NaN or infinite values")
    return faults


def _view_bytes(tensor: "NDArray[Any] | Tensor") -> NDArray[np.uint8]:
    """Return the bytes of a tensor, also of a dtype that NumPy lacks."""
    if isinstance(tensor, np.ndarray):
        return np.asarray(tensor, order="C").reshape(-1).view(np.uint8)
    from torch import uint8

    return np.asarray(tensor.detach().cpu().contiguous().reshape(-1).view(uint8).numpy())
