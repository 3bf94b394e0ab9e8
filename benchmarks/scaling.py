"""Benchmark of several processes: steps of III at a quarter of the width, two processes against one with two threads.

Both train in turns on the same batches of 128 images of 32x32, started by torchrun as in `dvc repro`.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.data import BATCH, make_noise_trainer, make_random_images, plan_model
from benchmarks.measure import report, run_benchmark
from deepen.core.entry_point import run_program
from deepen.runtime.device import choose_device
from deepen.runtime.group import Group

STEPS, EPOCHS, ROUNDS, WIDTH = 6, 3, 3, 0.25
WAYS = {"one process, two threads": (1, 2), "two processes, one thread each": (2, 1)}


def main() -> None:
    plan_model("III", WIDTH)  # an error of settings is reported here, not by torchrun
    rows = []
    for recipe in ("onecycle", "published"):
        rates_by_way: dict[str, list[float]] = {name: [] for name in WAYS}
        for _ in range(ROUNDS):
            for name, (processes, threads) in WAYS.items():
                rates_by_way[name].append(_measure_images_per_second(recipe, processes, threads))
        alone, both = (median(rates_by_way[name]) for name in WAYS)
        rows.append(
            {
                "recipe": recipe,
                "one process, two threads (images/s)": alone,
                "two processes, one thread each (images/s)": both,
                "percent": 100 * both / alone,
            }
        )
    report("scaling", rows, model="III", width=WIDTH, batch=BATCH, rounds=ROUNDS)


def _measure_images_per_second(recipe: str, processes: int, threads: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "rate.json"
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
        words = ["-m", "benchmarks.scaling", recipe, str(threads), str(result)]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
        subprocess.run([*command, *words], check=True, env=environment)
        rate: float = json.loads(result.read_text())
        return rate


def _train(recipe: str, threads: int, result: Path) -> None:
    """Train in one of the processes of torchrun; rank 0 writes the median rate of all epochs but the first."""
    group, device = Group(), choose_device("cpu", threads)
    images = make_random_images(BATCH * STEPS)
    with group.join(result.parent, device):
        trainer = make_noise_trainer(images, "III", WIDTH, recipe, epochs=1 + EPOCHS, device=device, group=group)
        rates = []
        for epoch in range(1, 2 + EPOCHS):
            start = time.perf_counter()
            trainer.run_epoch(epoch, lambda: group.all_reduce_max(0))  # as the training loop does after each step
            rates.append(BATCH * STEPS / (time.perf_counter() - start))
        if group.writes:
            result.write_text(json.dumps(median(rates[1:])))


if __name__ == "__main__":
    if len(sys.argv) == 4:  # in a process of torchrun
        run_program(lambda: _train(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
    else:
        run_benchmark(main, __doc__)
