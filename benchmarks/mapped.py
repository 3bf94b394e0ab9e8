"""Benchmark of memory-mapped images: train III at a quarter of the width from memory, and from a warm or cold file.

Each run trains for the first steps of an epoch, whose images are scattered over the file. For a cold file the kernel
first drops its pages (posix_fadvise with POSIX_FADV_DONTNEED on a flushed file; it needs no root), and mincore counts
the pages left in memory. Needs Linux, and a folder for temporary files on a disk.
"""

import ctypes
import mmap
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks.data import BATCH, make_noise_trainer, make_random_images
from benchmarks.measure import THREADS, alternate, report, run_benchmark
from deepen.data import prefetch as mapped
from deepen.data.images import ImageSet, load_images
from deepen.runtime.device import choose_device
from deepen.training.trainer import Trainer

IMAGES, STEPS, WARM_UP, WIDTH = 50_000, 20, 4, 0.25  # as many training images as CIFAR-10 has


def measure_images_per_second(path: Path, resident: bool, cold: bool) -> float:
    """Measure the first steps of an epoch, after a warm-up on other images."""
    with patch.object(mapped, "RESIDENT_SHARE", 1.0 if resident else 0.0):
        _time_epoch(_make_trainer(make_random_images(1_000), WARM_UP))
        if cold:
            _drop(path)
        trainer = _make_trainer(load_images(path), STEPS)
        seconds = _time_epoch(trainer)
    return trainer.steps * trainer.batch_size / seconds


def _make_trainer(images: ImageSet, steps: int) -> Trainer:
    epochs = steps / (len(images) // BATCH)
    return make_noise_trainer(images, "III", WIDTH, epochs=epochs, device=choose_device("cpu", THREADS))


def _time_epoch(trainer: Trainer) -> float:
    start = time.perf_counter()
    trainer.run_epoch(1, lambda: None)
    return time.perf_counter() - start


def _drop(path: Path) -> None:
    """Drop a file's pages from memory; raises RuntimeError if more than a tenth of them stay."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if (share := _measure_resident_share(path)) > 0.1:
        raise RuntimeError(f"{share:.0%} of {path.name} is still in memory; is it on a disk?")


def _measure_resident_share(path: Path) -> float:
    """Return the fraction of a file's pages that are in memory."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as pages:
        content = np.frombuffer(pages, np.uint8)
        flags = np.zeros(-(-len(content) // mmap.PAGESIZE), np.uint8)
        address, length = ctypes.c_void_p(content.ctypes.data), ctypes.c_size_t(len(content))
        if ctypes.CDLL(None).mincore(address, length, ctypes.c_void_p(flags.ctypes.data)):
            raise OSError("mincore failed")
        del content  # or the memory map can't be closed
    return float((flags & 1).mean())


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.safetensors"
        make_random_images(IMAGES).save(path)
        programs: dict[str, Any] = {
            "from memory": (measure_images_per_second, (path, True, False)),
            "from a map, warm": (measure_images_per_second, (path, False, False)),
            "from a map, cold": (measure_images_per_second, (path, False, True)),
        }
        medians = {name: median(rates) for name, rates in alternate(programs, 3).items()}
    report(
        "mapped",
        [
            {"images": name, "images/s": rate, "percent of memory": 100 * rate / medians["from memory"]}
            for name, rate in medians.items()
        ],
        model="III",
        width=WIDTH,
        images=IMAGES,
        steps=STEPS,
        cold="POSIX_FADV_DONTNEED on the file before the first step",
    )


if __name__ == "__main__":
    run_benchmark(main, __doc__)
