"""Training steps of III at a quarter of the width: two processes of one thread each against one process of two.

Each way trains on the same batches of 128 images of 32x32, started by torchrun as `dvc repro` does it, in turns.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.data import BATCH, noise_trainer, random_images
from benchmarks.measure import report
from deepen.runtime.device import choose_device
from deepen.runtime.group import Group

STEPS, EPOCHS, ROUNDS, WIDTH = 6, 3, 3, 0.25
WAYS = {"one process, two threads": (1, 2), "two processes, one thread each": (2, 1)}


def main() -> None:
    if len(sys.argv) > 1:
        _train(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
        return
    rows = []
    for recipe in ("onecycle", "published"):
        found: dict[str, list[float]] = {name: [] for name in WAYS}
        for _ in range(ROUNDS):
            for name, (processes, threads) in WAYS.items():
                found[name].append(_images_a_second(recipe, processes, threads))
        alone, both = (median(found[name]) for name in WAYS)
        rows.append(
            {
                "recipe": recipe,
                "one process, two threads (images/s)": alone,
                "two processes, one thread each (images/s)": both,
                "percent": 100 * both / alone,
            }
        )
    report("scaling", rows, model="III", width=WIDTH, batch=BATCH, rounds=ROUNDS)


def _images_a_second(recipe: str, processes: int, threads: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "rate.json"
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
        words = ["-m", "benchmarks.scaling", recipe, str(threads), str(result)]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        subprocess.run([*command, *words], check=True, env=environment)
        rate: float = json.loads(result.read_text())
        return rate


def _train(recipe: str, threads: int, result: Path) -> None:
    """One process of those that torchrun started; the first writes the median rate of the epochs but the first."""
    group, device = Group(), choose_device("cpu", threads)
    images = random_images(BATCH * STEPS)
    with group.joined(result.parent):
        trainer = noise_trainer(images, "III", WIDTH, recipe, epochs=1 + EPOCHS, device=device, group=group)
        rates = []
        for epoch in range(1, 2 + EPOCHS):
            start = time.perf_counter()
            trainer.run_epoch(epoch, lambda: group.largest(0))  # what training asks after each step
            rates.append(BATCH * STEPS / (time.perf_counter() - start))
        if group.writes:
            result.write_text(json.dumps(median(rates[1:])))


if __name__ == "__main__":
    main()
