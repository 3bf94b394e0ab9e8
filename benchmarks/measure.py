"""Programs timed side by side in one run, each call in a process of its own, and the table of what came out."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from tabulate import tabulate

THREADS = 2
RESULTS = Path(__file__).parent / "results"


def in_its_own_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns when called in a fresh interpreter, whose memory and caches it does not share."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(function, *arguments).result()


def alternate(
    programs: Mapping[str, tuple[Callable[..., float], tuple[Any, ...]]], rounds: int
) -> dict[str, list[float]]:
    """Call each program once a round, one after the other, so that a slow minute of the machine hits them all."""
    found: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, (function, arguments) in programs.items():
            found[name].append(in_its_own_process(function, *arguments))
    return found


def median_seconds(call: Callable[[], object], *, calls: int, warm_up: int = 1) -> float:
    """The median time of a call, in seconds, after some that are not counted."""
    times = []
    for _ in range(warm_up + calls):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times[warm_up:])


def matmul_rate(dtype: torch.dtype = torch.float32, device: str = "cpu", side: int = 2048) -> float:
    """Floating-point operations a second of one matrix product (side, side) @ (side, side)."""
    torch.set_num_threads(THREADS)
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))

    def multiply() -> None:
        torch.mm(a, b)
        if a.is_cuda:
            torch.cuda.synchronize()

    return 2 * side**3 / median_seconds(multiply, calls=9, warm_up=3)


def show(rows: list[dict[str, Any]], title: str = "") -> None:
    """Print a table, below its title if it has one."""
    print(title, tabulate(rows, "keys", floatfmt=".4g", tablefmt="github"), sep="\n" if title else "")


def report(name: str, rows: list[dict[str, Any]], **settings: Any) -> None:
    """Print the table and write it, with the machine and versions, to benchmarks/results/<name>.json."""
    show(rows)
    RESULTS.mkdir(exist_ok=True)
    content = {"machine": _machine(), "settings": settings, "rows": rows}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")


def _machine() -> dict[str, Any]:
    cpu = next((line for line in _lines("/proc/cpuinfo") if line.startswith("model name")), platform.processor())
    return {
        "cpu": cpu.partition(":")[2].strip() or cpu,
        "cores": os.cpu_count(),
        "threads": THREADS,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__.partition("+")[0],
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []
