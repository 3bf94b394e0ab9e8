"""Benchmark of image statistics: mean and covariance of 50,000 images of 3x32x32. Needs Linux for the peak memory."""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.data import make_random_images
from benchmarks.measure import THREADS, report, run_benchmark, run_in_process
from deepen.data.statistics import compute_statistics

IMAGES = 50_000


def compute_deepen_statistics(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Compute the eigenvalues of the covariance, largest first, 0-1 scale."""
    return np.array(compute_statistics(images).eigenvalues)


def compute_plain_statistics(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Compute the same from a float copy of all pixels."""
    torch.set_num_threads(THREADS)
    pixels = torch.from_numpy(images).float().div(255).permute(1, 0, 2, 3).reshape(3, -1)
    pixels.mean(1)
    eigenvalues: NDArray[np.float64] = torch.linalg.eigvalsh(torch.cov(pixels)).flip(0).double().numpy()
    return eigenvalues


def measure(program: Callable[[NDArray[np.uint8]], NDArray[np.float64]]) -> dict[str, Any]:
    """Measure seconds and peak memory above the images (bytes) of one call; also return its eigenvalues."""
    images = make_random_images(IMAGES).images
    program(images[:100])  # warm-up: load libraries, start threads
    _reset_peak()
    before = _read_peak()
    start = time.perf_counter()
    eigenvalues = program(images)
    return {"seconds": time.perf_counter() - start, "bytes": _read_peak() - before, "eigenvalues": eigenvalues}


def _read_peak() -> int:
    """Return the process' peak memory (bytes) since `_reset_peak`."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def _reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def main() -> None:
    results: dict[str, list[dict[str, Any]]] = {"deepen": [], "plain": []}
    for _ in range(5):
        results["deepen"].append(run_in_process(measure, compute_deepen_statistics))
        results["plain"].append(run_in_process(measure, compute_plain_statistics))
    pixels = make_random_images(IMAGES).images.transpose(1, 0, 2, 3).reshape(3, -1) / 255
    exact = np.linalg.eigvalsh(np.cov(pixels))[::-1]
    seconds = {name: median(run["seconds"] for run in runs) for name, runs in results.items()}
    report(
        "statistics",
        [
            {
                "program": name,
                "ms": 1000 * seconds[name],
                "deepen is faster": seconds[name] / seconds["deepen"],
                "MB above the images": median(run["bytes"] for run in runs) / 1e6,
                "error of an eigenvalue": float(np.abs(runs[0]["eigenvalues"] - exact).max()),
            }
            for name, runs in results.items()
        ],
        images=IMAGES,
    )


if __name__ == "__main__":
    run_benchmark(main, __doc__)
