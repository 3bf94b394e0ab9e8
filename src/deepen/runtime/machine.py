"""What this machine has, told without PyTorch, whose import takes seconds, wherever that can be."""

import ctypes
import os
import sys
from pathlib import Path

from deepen.core.errors import InputError


def check_threads(threads: int) -> None:
    """Raise InputError for more than four threads a CPU of this machine: they would only wait for each other."""
    there = os.cpu_count() or 1
    if threads > 4 * there:
        raise InputError(
            f"params.yaml: threads: {threads} is more than four for each of the {there} CPUs of this machine; "
            f"write for example threads: {there}, which may change the last digits of results"
        )


def device_memory(device: str) -> int:
    """Bytes that the device has in all which settings name; raises InputError where it is not available."""
    if device == "cpu" or (device == "auto" and not may_have_gpu()):
        return main_memory()
    from deepen.runtime.device import find_device, memory

    return memory(find_device(device))


def may_have_gpu() -> bool:
    """Whether PyTorch may find a GPU: not on Linux without NVIDIA's driver library and without AMD's device."""
    if sys.platform != "linux" or Path("/dev/kfd").exists():
        return True
    try:
        ctypes.CDLL("libcuda.so.1")  # what CUDA's runtime loads, under the same name
    except OSError:
        return False
    return True


def main_memory() -> int:
    """Bytes of this machine's main memory that this process may have."""
    return min(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *_limits())


def _limits(groups: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> list[int]:
    """What the control groups that this process is in allow, and those above them: Linux, version 1 or 2."""
    files = []
    for line in groups.read_text().splitlines() if groups.exists() else ():
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "memory"):
            top, name = (root / controllers, "memory.limit_in_bytes") if controllers else (root, "memory.max")
            inside = Path(path.lstrip("/"))
            files += [top / folder / name for folder in (inside, *inside.parents)]
    found = [file.read_text().strip() for file in files if file.is_file()]
    return [int(limit) for limit in found if limit != "max"]
