"""What checkpoints cost, and how soon after a kill the training goes on.

The cost: model III at a quarter of the width, images of 32x32, checkpoints as params.yaml has them, on the disk that
the project is on. The kill: the default ladder in a clone, all of it killed while model I trains, and `dvc repro` at
once.
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

from benchmarks.data import noise_trainer, random_images
from benchmarks.measure import THREADS, report
from benchmarks.overhead import ROOT
from deepen.config.settings import load_settings
from deepen.runtime.device import choose_device
from deepen.training.checkpoint import Checkpoint, Checkpoints
from deepen.training.loop import Progress, train

IMAGES, EPOCHS = 20_000, 2


class TimedCheckpoints(Checkpoints):
    """Checkpoints that know how long saving took, in seconds, and how often it was done."""

    seconds, count = 0.0, 0

    def save(self, checkpoint: Checkpoint) -> None:
        """As Checkpoints does."""
        start = time.perf_counter()
        super().save(checkpoint)
        self.seconds, self.count = self.seconds + time.perf_counter() - start, self.count + 1


def cost(images: int = IMAGES, width: float = 0.25) -> dict[str, float | str]:
    """Seconds of a training, and of them those in which checkpoints were saved."""
    device = choose_device("cpu", THREADS)
    trainer = noise_trainer(random_images(images), "III", width, epochs=EPOCHS, device=device)
    with tempfile.TemporaryDirectory(dir=ROOT) as folder:
        checkpoints = TimedCheckpoints(Path(folder) / "III", load_settings().checkpoint_seconds)
        start = time.perf_counter()
        train(trainer, random_images(100), Progress(), checkpoints)
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


def from_kill_to_step() -> dict[str, float | str]:
    """Seconds from the kill to the first new step."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        params = clone / "params.yaml"
        often = params.read_text().replace("checkpoint_seconds: 60 ", "checkpoint_seconds: 0 ")
        params.write_text(often.replace("seed: 0 ", "seed: 1 "))  # not what dvc.lock has already
        with _running(clone):
            _wait_for_steps(clone, 5)
        start, before = time.perf_counter(), _steps(clone)
        with _running(clone):
            _wait_for_steps(clone, before + 1)
            return {"what": "from SIGKILL to the first new step", "seconds": time.perf_counter() - start}


@contextmanager
def _running(clone: Path) -> Iterator[None]:
    """`dvc repro` in a clone, killed at the end with all that it started."""
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
    """How many steps are kept."""
    return max((int(path.stem.split("-")[0]) for path in clone.glob("checkpoints/*/*.safetensors")), default=0)


def _wait_for_steps(clone: Path, steps: int) -> None:
    end = time.monotonic() + 300
    while _steps(clone) < steps:
        if time.monotonic() > end:
            raise TimeoutError(f"{steps} steps are not done after 300 seconds")
        time.sleep(0.01)


def main() -> None:
    report("checkpoints", [cost(), *(from_kill_to_step() for _ in range(3))])


if __name__ == "__main__":
    main()
