"""Where the arithmetic happens, and that it gives the same bits every time."""

import os

import torch
from torch import nn

from deepen.errors import InputError


def choose_device(name: str, threads: int) -> torch.device:
    """The device that `name` asks for (`auto` takes CUDA, then Apple MPS, then CPU), made ready for repeatable results.

    `threads` is how many the CPU's kernels use: it shapes the order in which they add, and so the last bits. Raises
    InputError where the device is not there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind, available in there.items() if available)
    device = torch.device(name)
    if not there[device.type] or (device.index or 0) >= max(1, torch.cuda.device_count()):
        found = ", ".join([kind for kind, available in there.items() if available])
        raise InputError(f"params.yaml: device: {name} is not there, this machine has {found}; write device: auto")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what CUDA's matrix products need to be repeatable
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=device.type != "cpu")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # slow, and no need
    return device


def place(network: nn.Module, device: torch.device) -> nn.Module:
    """Move a network to `device`, its convolutions laid out channels-last, which is faster on CPU and CUDA."""
    network.to(device)
    return network.to(memory_format=torch.channels_last)


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 arithmetic on CUDA; float32 elsewhere."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")
