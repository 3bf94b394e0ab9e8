"""Benchmark of checkpoints: the cost of saving them, and the time to resume after a kill.

Cost: model III at a quarter of the width, images of 32x32, checkpoint_seconds of params.yaml, on the project's disk.
Resuming: the default ladder in a clone, all processes killed while model I trains, then `dvc repro` immediately.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.data import make_noise_trainer, make_random_images
from benchmarks.measure import THREADS, report, run_benchmark
from benchmarks.overhead import ROOT
from deepen.config.settings import load_settings
from deepen.runtime.device import choose_device
from deepen.training.checkpoint import Checkpoint, Checkpoints
from deepen.training.loop import train

IMAGES, EPOCHS = 20_000, 2


class TimedCheckpoints(Checkpoints):
    """Checkpoints that measure the time and number of saves."""

    seconds, count = 0.0, 0

    def save(self, checkpoint: Checkpoint) -> None:
        """Save a checkpoint and add the time it took (seconds)."""
        start = time.perf_counter()
        super().save(checkpoint)
        self.seconds, self.count = self.seconds + time.perf_counter() - start, self.count + 1


def measure_cost(images: int = IMAGES, width: float = 0.25) -> dict[str, float | str]:
    """Measure the seconds of a training, and how many of them saving checkpoints took."""
    device = choose_device("cpu", THREADS)
    trainer = make_noise_trainer(make_random_images(images), "III", width, epochs=EPOCHS, device=device)
    with tempfile.TemporaryDirectory(dir=ROOT) as folder:
        checkpoints = TimedCheckpoints(Path(folder) / "III", load_settings().checkpoint_seconds)
        start = time.perf_counter()
        train(trainer, make_random_images(100), checkpoints)
        seconds = time.perf_counter() - start
        size = sum(file.stat().st_size for file in checkpoints.folder.iterdir()) / 2e6
    return {
        "what": f"{EPOCHS} epochs of III, {images} images, width {width}",
        "seconds": seconds,
        "checkpoints": checkpoints.count,
        "MB each": size,
        "seconds saving": checkpoints.seconds,
        "percent of training": 100 * checkpoints.seconds / seconds,
    }


def measure_restart() -> dict[str, float | str]:
    """Measure the seconds from a kill to the first new step."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        params = clone / "params.yaml"
        often = params.read_text().replace("checkpoint_seconds: 60 ", "checkpoint_seconds: 0 ")
        params.write_text(often.replace("seed: 0 ", "seed: 1 "))  # or DVC would restore the result
        with _running(clone):
            _wait_for_steps(clone, 5)
        start, before = time.perf_counter(), _steps(clone)
        with _running(clone):
            _wait_for_steps(clone, before + 1)
            return {"what": "from SIGKILL to the first new step", "seconds": time.perf_counter() - start}


@contextmanager
def _running(clone: Path) -> Iterator[None]:
    """Run `dvc repro` in a clone, and kill it with all its child processes at the end."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    process = subprocess.Popen(
        ["dvc", "repro"], cwd=clone, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _steps(clone: Path) -> int:
    """Return the number of steps in the newest checkpoint."""
    return max((int(path.stem.split("-")[0]) for path in clone.glob("checkpoints/*/*.safetensors")), default=0)


def _wait_for_steps(clone: Path, steps: int) -> None:
    end = time.monotonic() + 300
    while _steps(clone) < steps:
        if time.monotonic() > end:
            raise TimeoutError(f"{steps} steps are not done after 300 seconds")
        time.sleep(0.01)


def main() -> None:
    report("checkpoints", [measure_cost(), *(measure_restart() for _ in range(3))])


if __name__ == "__main__":
    run_benchmark(main, __doc__)
