"""Buffers in main memory from which batches of images are copied to a device."""

import torch
from torch import Tensor


class Buffer:
    """Holds nothing: a tensor is copied from where it is, and the copy waits until it is done."""

    def fill(self, tensor: Tensor) -> Tensor:
        """Return the tensor in memory from which to copy it to the device."""
        return tensor

    def mark_copied(self) -> None:
        """Mark that the copy of the last tensor has been started, on the device's current stream."""

    def copy(self, tensor: Tensor, device: torch.device) -> Tensor:
        """Copy a tensor to `device`, without waiting if it is pinned."""
        filled = self.fill(tensor)
        copied = filled.to(device, non_blocking=filled.is_pinned())
        self.mark_copied()
        return copied


class PinnedBuffer(Buffer):
    """Pinned (page-locked) memory of `size` bytes, which a CUDA `device` copies from while the CPU works on.

    It is filled again only once the last copy is done. NumPy fills it: PyTorch would start helper threads for each
    thread that calls it.
    """

    def __init__(self, size: int, device: torch.device) -> None:
        self._memory = torch.empty(size, dtype=torch.uint8, pin_memory=True)
        self._device = device
        self._copied = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]

    def fill(self, tensor: Tensor) -> Tensor:
        """Copy a uint8 tensor into the buffer, once the last copy to the device is done; return it."""
        self._copied.synchronize()
        pinned = self._memory[: tensor.numel()].view(tensor.shape)
        pinned.numpy()[...] = tensor.numpy()
        return pinned

    def mark_copied(self) -> None:
        self._copied.record(torch.cuda.current_stream(self._device))


def make_buffers(count: int, size: int, device: torch.device) -> list[Buffer]:
    """Make buffers of `size` bytes to use in turn: pinned for CUDA, where copies don't wait; one suffices elsewhere."""
    return [PinnedBuffer(size, device) for _ in range(count)] if device.type == "cuda" else [Buffer()]
