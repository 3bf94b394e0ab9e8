"""CPU count and memory of this machine, without importing PyTorch if possible, which takes seconds."""

import ctypes
import os
import sys
from pathlib import Path

from deepen.core.errors import InputError


def check_threads(threads: int) -> None:
    """Raise InputError for more than four threads per CPU of this machine."""
    cpus = os.cpu_count() or 1
    if threads > 4 * cpus:
        raise InputError(
            f"params.yaml: threads: {threads} is more than four per CPU, and this machine has {cpus}; "
            f"write for example threads: {cpus}, which may change the last digits of results"
        )


def get_device_memory(device: str) -> int:
    """Return the memory in bytes of the device that settings name; raises InputError if it is not available."""
    if device == "cpu" or (device == "auto" and not may_have_gpu()):
        return get_main_memory()
    from deepen.runtime.device import find_device, get_total_memory

    return get_total_memory(find_device(device))


def may_have_gpu() -> bool:
    """Return whether PyTorch may find a GPU: on Linux, only with NVIDIA's driver library or AMD's device."""
    if sys.platform != "linux" or Path("/dev/kfd").exists():
        return True
    try:
        ctypes.CDLL("libcuda.so.1")  # the name under which CUDA's runtime loads it
    except OSError:
        return False
    return True


def get_main_memory() -> int:
    """Return how many bytes of main memory this process may use."""
    return min(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *_read_cgroup_limits())


def _read_cgroup_limits(groups: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> list[int]:
    """Return the memory limits, in bytes, of this process' control groups and their parents: Linux, version 1 or 2."""
    files = []
    for line in groups.read_text().splitlines() if groups.exists() else ():
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "memory"):
            top, name = (root / controllers, "memory.limit_in_bytes") if controllers else (root, "memory.max")
            inside = Path(path.lstrip("/"))
            files += [top / folder / name for folder in (inside, *inside.parents)]
    limits = [file.read_text().strip() for file in files if file.is_file()]
    return [int(limit) for limit in limits if limit != "max"]
