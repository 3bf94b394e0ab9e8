"""Mean and covariance of the pixels of 50,000 images of 3x32x32. On Linux, which tells a process its peak memory."""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.data import random_images
from benchmarks.measure import THREADS, in_its_own_process, report
from deepen.data.statistics import compute_statistics

IMAGES = 50_000


def deepen_statistics(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The eigenvalues of the covariance, largest first, 0-1 scale."""
    return np.array(compute_statistics(images).eigenvalues)


def plain_statistics(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The same from a float copy of all pixels."""
    torch.set_num_threads(THREADS)
    pixels = torch.from_numpy(images).float().div(255).permute(1, 0, 2, 3).reshape(3, -1)
    pixels.mean(1)
    eigenvalues: NDArray[np.float64] = torch.linalg.eigvalsh(torch.cov(pixels)).flip(0).double().numpy()
    return eigenvalues


def measured(program: Callable[[NDArray[np.uint8]], NDArray[np.float64]]) -> dict[str, Any]:
    """Seconds and peak memory above the images (bytes) of the first call in a process, and its eigenvalues."""
    images = random_images(IMAGES).images
    program(images[:100])  # libraries loaded, threads started
    _forget_peak()
    before = _peak()
    start = time.perf_counter()
    eigenvalues = program(images)
    return {"seconds": time.perf_counter() - start, "bytes": _peak() - before, "eigenvalues": eigenvalues}


def _peak() -> int:
    """The most memory the process had at once, in bytes, since `_forget_peak`."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def main() -> None:
    found: dict[str, list[dict[str, Any]]] = {"deepen": [], "plain": []}
    for _ in range(5):
        found["deepen"].append(in_its_own_process(measured, deepen_statistics))
        found["plain"].append(in_its_own_process(measured, plain_statistics))
    pixels = random_images(IMAGES).images.transpose(1, 0, 2, 3).reshape(3, -1) / 255
    exact = np.linalg.eigvalsh(np.cov(pixels))[::-1]
    seconds = {name: median(run["seconds"] for run in runs) for name, runs in found.items()}
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
            for name, runs in found.items()
        ],
        images=IMAGES,
    )


if __name__ == "__main__":
    main()
