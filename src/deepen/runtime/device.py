"""Choose the PyTorch device, its precision and its deterministic settings."""

import ctypes
import os
import re
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import nn

from deepen.core.errors import InputError, is_out_of_memory, quote
from deepen.runtime.machine import check_threads, get_main_memory

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of mallopt(3)


def find_device(name: str) -> torch.device:
    """Return the device called `name`; `auto` takes CUDA, then Apple MPS, then the CPU.

    Raises InputError, with the available devices, if `name` is not one of auto, cpu, mps, cuda and cuda:<number>, or
    the device is not available.
    """
    name, available = str(name), _list_devices()  # also a torch.device
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if kind in available)
    if name not in available:
        known = re.fullmatch(r"cpu|mps|cuda(:[0-9]+)?", name)
        fault = "is not available" if known else "is an unknown device"
        shown = quote(name)[:60] or "an empty name"
        raise InputError(f"device: {shown} {fault}; available: {', '.join(available)}; use one of these, or auto")
    return torch.device(name)


def _list_devices() -> list[str]:
    """Return PyTorch's names of the available devices."""
    names = ["cpu"]
    if torch.cuda.is_available():
        names += ["cuda", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    return names + (["mps"] if torch.backends.mps.is_available() else [])


def get_total_memory(device: torch.device) -> int:
    """Return the memory of a device in bytes; for the CPU, as much of it as this process may use."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory())
    return get_main_memory()


def choose_device(name: str, threads: int, local_rank: int | None = None) -> torch.device:
    """Return the device of `find_device`, make it current, and set up this process for deterministic results on it.

    `threads` is the number of CPU threads of a kernel: it determines the order of additions, and so the last bits. Of
    several processes on a machine, numbered by `local_rank` from 0, each gets its own GPU.
    """
    check_threads(threads)
    device = find_device(name)
    if local_rank is not None:
        device = _assign_gpu(device, local_rank)
    if device.index is not None:
        torch.cuda.set_device(device)  # a CUDA graph is captured on the current device only
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # required for deterministic matrix products on CUDA
    torch.set_num_threads(threads)
    _keep_freed_memory()
    _set_tf32(False, False)  # PyTorch's default in convolutions is TF32
    # Same as use_deterministic_algorithms, which also imports the compiler, and that is slow.
    torch.set_deterministic_debug_mode("error" if device.type == "cpu" else "warn")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # slow, and not needed
    return device


def _assign_gpu(device: torch.device, local_rank: int) -> torch.device:
    if device.type == "cpu":
        return device
    gpus = torch.cuda.device_count()
    if device.type != "cuda" or device.index is not None or local_rank >= gpus:
        raise InputError(
            f"device: {device} is not available for process {local_rank + 1} of this machine: each needs its own "
            f"GPU, and this machine has {gpus}; start at most one process a GPU (DEEPEN_LAUNCH), and write device: auto"
        )
    return torch.device("cuda", local_rank)


def use_device(device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which a CUDA `device` is the current one; any other device needs no context."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def seed_dropout(device: torch.device, seed: int) -> None:
    """Seed the default generator of `device` alone: `torch.manual_seed` seeds those of all devices, which is slow."""
    if device.type == "mps":
        torch.mps.manual_seed(seed)
    else:
        get_default_generator(device).manual_seed(seed)


def get_default_generator(device: torch.device) -> torch.Generator:
    """Return PyTorch's own generator of a CUDA device or the CPU."""
    if device.type == "cpu":
        return torch.default_generator
    return torch.cuda.default_generators[torch.cuda.current_device() if device.index is None else device.index]


@contextmanager
def permit_tf32(permitted: bool) -> Iterator[None]:
    """Have CUDA multiply float32 in TF32, which keeps 10 of 23 bits, or not, within this context."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    _set_tf32(permitted, permitted)
    try:
        yield
    finally:
        _set_tf32(*before)


def _set_tf32(products: bool, convolutions: bool) -> None:
    """Set both by the same flags: where fp32_precision sets one of them, torch.export fails."""
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = products, convolutions


def _keep_freed_memory() -> None:
    """Have the C library keep freed memory: if returned, the next step faults in every page again."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def move_to_device(network: nn.Module, device: torch.device) -> nn.Module:
    """Move a network to `device`, in channels-last memory format, which is faster on CPU and CUDA."""
    network.to(device)
    return network.to(memory_format=torch.channels_last)


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """Return the dtype of a `precision`: `auto` takes bfloat16 on GPUs that multiply it, and float32 elsewhere."""
    if precision == "auto":
        fast = device.type == "cuda" and not _emulates_bfloat16(device)
        return torch.bfloat16 if fast else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]


def name_dtype(dtype: torch.dtype) -> str:
    """Return the name of a dtype as `precision` has it."""
    return str(dtype).removeprefix("torch.")


def find_slow_precision(dtype: torch.dtype, device: torch.device) -> str | None:
    """Return a warning if a GPU only emulates the dtype, slower than float32."""
    if dtype != torch.bfloat16 or device.type != "cuda" or not _emulates_bfloat16(device):
        return None
    return f"precision: {device} only emulates bfloat16, slower than float32; use precision float32 or auto"


def _emulates_bfloat16(device: torch.device) -> bool:
    with use_device(device):
        return not torch.cuda.is_bf16_supported(including_emulation=False)


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Return a context in which layers compute in `dtype`."""
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)


class OutOfMemory(InputError):
    """A `task`, such as "training III", that ran out of memory on a device."""

    def __init__(self, task: str, device: torch.device, cause: BaseException, remedy: str) -> None:
        self.cause = cause
        text = str(cause).splitlines()[0] if str(cause) else type(cause).__name__
        super().__init__(
            f"{task} ran out of memory on {device} ({text[:200]}); "
            f"{remedy}, or close other programs that use its memory"
        )


@contextmanager
def reraise_out_of_memory(
    task: str, device: torch.device, remedy: str = "lower batch_size, for example by half, or width"
) -> Iterator[None]:
    """Reraise an out-of-memory error as an OutOfMemory with the `task` and a remedy."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise OutOfMemory(task, device, error, remedy) from error
        raise
