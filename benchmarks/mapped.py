"""Training of III at a quarter of the width from memory, and from the map of a file that is in memory or is not.

Each trains for the first steps of an epoch, whose images lie scattered over the file. Cold: before them the kernel is
told to drop the file's pages (posix_fadvise with POSIX_FADV_DONTNEED, on a file that is flushed; it needs no root), and
how many are then in memory is counted with mincore. Linux, with a disk behind the folder for temporary files.
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

from benchmarks.data import BATCH, noise_trainer, random_images
from benchmarks.measure import THREADS, alternate, report
from deepen.data import prefetch as mapped
from deepen.data.images import ImageSet, load_images
from deepen.runtime.device import choose_device
from deepen.training.trainer import Trainer

IMAGES, STEPS, WARM_UP, WIDTH = 50_000, 20, 4, 0.25  # as many images as CIFAR-10 trains on


def images_a_second(path: Path, resident: bool, cold: bool) -> float:
    """Of the first steps, after some on other images."""
    with patch.object(mapped, "RESIDENT_SHARE", 1.0 if resident else 0.0):
        _seconds(_trainer(random_images(1_000), WARM_UP))
        if cold:
            _drop(path)
        trainer = _trainer(load_images(path), STEPS)
        seconds = _seconds(trainer)
    return trainer.steps * trainer.batch_size / seconds


def _trainer(images: ImageSet, steps: int) -> Trainer:
    epochs = steps / (len(images) // BATCH)
    return noise_trainer(images, "III", WIDTH, epochs=epochs, device=choose_device("cpu", THREADS))


def _seconds(trainer: Trainer) -> float:
    start = time.perf_counter()
    trainer.run_epoch(1, lambda: None)
    return time.perf_counter() - start


def _drop(path: Path) -> None:
    """Have the kernel drop a file's pages; raises RuntimeError where it keeps more than a tenth of them."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if (share := _in_memory(path)) > 0.1:
        raise RuntimeError(f"{share:.0%} of {path.name} is still in memory; is it on a disk?")


def _in_memory(path: Path) -> float:
    """The fraction of a file's pages that are in memory."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as pages:
        content = np.frombuffer(pages, np.uint8)
        found = np.zeros(-(-len(content) // mmap.PAGESIZE), np.uint8)
        address, length = ctypes.c_void_p(content.ctypes.data), ctypes.c_size_t(len(content))
        if ctypes.CDLL(None).mincore(address, length, ctypes.c_void_p(found.ctypes.data)):
            raise OSError("mincore failed")
        del content  # or the map can't be closed
    return float((found & 1).mean())


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.safetensors"
        random_images(IMAGES).save(path)
        programs: dict[str, Any] = {
            "from memory": (images_a_second, (path, True, False)),
            "from a map, warm": (images_a_second, (path, False, False)),
            "from a map, cold": (images_a_second, (path, False, True)),
        }
        found = {name: median(rates) for name, rates in alternate(programs, 3).items()}
    report(
        "mapped",
        [
            {"images": name, "images/s": rate, "percent of memory": 100 * rate / found["from memory"]}
            for name, rate in found.items()
        ],
        model="III",
        width=WIDTH,
        images=IMAGES,
        steps=STEPS,
        cold="POSIX_FADV_DONTNEED on the file before the first step",
    )


if __name__ == "__main__":
    main()
