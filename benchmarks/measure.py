"""Measure programs side by side in one run, each call in its own process, and write a table of the results."""

import argparse
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

from deepen.core.entry_point import run_program

THREADS = 2
RESULTS = Path(__file__).parent / "results"


def run_benchmark(main: Callable[[], None], description: str | None) -> None:
    """Run a benchmark that takes no arguments but `--help`, and report errors as Deepen's commands do."""
    argparse.ArgumentParser(description=description).parse_args()
    run_program(main)


def run_in_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a fresh interpreter, with its own memory and caches, and return its result."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(function, *arguments).result()


def alternate(
    programs: Mapping[str, tuple[Callable[..., float], tuple[Any, ...]]], rounds: int
) -> dict[str, list[float]]:
    """Call each program once per round, in turns, so that a slow minute of the machine affects all of them."""
    results: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, (function, arguments) in programs.items():
            results[name].append(run_in_process(function, *arguments))
    return results


def measure_median_seconds(call: Callable[[], object], *, calls: int, warm_up: int = 1) -> float:
    """Return the median time of a call (seconds), after some warm-up calls."""
    times = []
    for _ in range(warm_up + calls):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times[warm_up:])


def measure_matmul_rate(dtype: torch.dtype = torch.float32, device: str = "cpu", side: int = 2048) -> float:
    """Return the floating-point operations per second of a matrix product (side, side) @ (side, side)."""
    torch.set_num_threads(THREADS)
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))

    def multiply() -> None:
        torch.mm(a, b)
        if a.is_cuda:
            torch.cuda.synchronize()

    return 2 * side**3 / measure_median_seconds(multiply, calls=9, warm_up=3)


def show(rows: list[dict[str, Any]], title: str = "") -> None:
    """Print a table, below its title if it has one."""
    print(title, tabulate(rows, "keys", floatfmt=".4g", tablefmt="github"), sep="\n" if title else "")


def report(name: str, rows: list[dict[str, Any]], **settings: Any) -> None:
    """Print the table and write it, with the machine and versions, to benchmarks/results/<name>.json."""
    show(rows)
    RESULTS.mkdir(exist_ok=True)
    content = {"machine": describe_machine(), "settings": settings, "rows": rows}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")


def describe_machine() -> dict[str, Any]:
    cpu = next((line for line in _read_lines("/proc/cpuinfo") if line.startswith("model name")), platform.processor())
    return {
        "cpu": cpu.partition(":")[2].strip() or cpu,
        "cores": os.cpu_count(),
        "threads": THREADS,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__.partition("+")[0],
    }


def _read_lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []
