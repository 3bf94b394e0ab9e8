"""Where the arithmetic happens, and that it gives the same bits every time."""

import ctypes
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from deepen.core.errors import InputError, lacks_memory, plain
from deepen.runtime.machine import check_threads, main_memory

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of mallopt(3)


def find_device(name: str) -> torch.device:
    """The device that `name` asks for; `auto` takes CUDA, then Apple MPS, then the CPU.

    Raises InputError, with what this machine has, where `name` is not one of auto, cpu, mps, cuda and cuda:<number>, or
    the device is not available.
    """
    name, available = str(name), _available_devices()  # also a torch.device
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if kind in available)
    if name not in available:
        known = re.fullmatch(r"cpu|mps|cuda(:[0-9]+)?", name)
        fault = "is not available" if known else "is unknown"
        shown, listed = plain(name)[:60] or "an empty name", ", ".join(available)
        raise InputError(f"device: {shown} {fault}; this machine has {listed}: take one of these, or auto")
    return torch.device(name)


def _available_devices() -> list[str]:
    """The names of this machine's devices, as PyTorch has them."""
    found = ["cpu"]
    if torch.cuda.is_available():
        found += ["cuda", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    return found + (["mps"] if torch.backends.mps.is_available() else [])


def memory(device: torch.device) -> int:
    """Bytes that the device has in all; where that is this machine's memory, what this process may have of it."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory())
    return main_memory()


def choose_device(name: str, threads: int, local_rank: int | None = None) -> torch.device:
    """The device of `find_device`, and this process made ready for repeatable results on it.

    `threads` is how many the CPU's kernels use: it shapes the order in which they add, and so the last bits. Of several
    processes on a machine, told apart by `local_rank` from 0, each has a GPU of its own.
    """
    check_threads(threads)
    device = find_device(name)
    if local_rank is not None:
        device = _own_device(device, local_rank)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what CUDA's matrix products need to be repeatable
    torch.set_num_threads(threads)
    _keep_freed_memory()
    # As use_deterministic_algorithms, without its import of the compiler, which takes longer than all else here.
    torch.set_deterministic_debug_mode("error" if device.type == "cpu" else "warn")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # slow, and no need
    return device


def _own_device(device: torch.device, local_rank: int) -> torch.device:
    if device.type == "cpu":
        return device
    there = torch.cuda.device_count()
    if device.type != "cuda" or device.index is not None or local_rank >= there:
        raise InputError(
            f"device: {device} is not available for process {local_rank + 1} of this machine: each needs a GPU of its "
            f"own, and there are {there}; start so many processes (DEEPEN_LAUNCH), and write device: auto"
        )
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)


def _keep_freed_memory() -> None:
    """Have the C library keep what a training step frees: given back, the next step faults every page in again."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def place(network: nn.Module, device: torch.device) -> nn.Module:
    """Move a network to `device`, its convolutions laid out channels-last, which is faster on CPU and CUDA."""
    network.to(device)
    return network.to(memory_format=torch.channels_last)


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The arithmetic that `precision` asks for: `auto` takes bfloat16 on CUDA and float32 elsewhere."""
    if precision == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """A context in which layers compute in `dtype`."""
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)


@contextmanager
def memory_told(doing: str, device: torch.device) -> Iterator[None]:
    """Turn a lack of memory into an InputError that opens with what one was `doing`."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if lacks_memory(error):
            text = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(
                f"{doing} takes more memory than {device} has left ({text[:200]}); "
                "lower batch_size, for example by half, or width, or end what else runs there"
            ) from error
        raise
