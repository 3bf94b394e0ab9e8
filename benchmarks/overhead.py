"""Everything but training in the default `dvc repro`, and a `dvc repro` that has nothing to do."""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import report

ROOT = Path(__file__).parents[1]
TRAINED = re.compile(r"^\w+: trained \d+ epochs in ([\d.]+) s", re.MULTILINE)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        seconds, output = _timed(clone)
        training = sum(map(float, TRAINED.findall(output)))
        nothing, _ = _timed(clone)
    report(
        "overhead",
        [
            {"what": "dvc repro in a fresh clone", "seconds": seconds},
            {"what": "of it training", "seconds": training},
            {"what": "everything but training", "seconds": seconds - training},
            {"what": "dvc repro with nothing to do", "seconds": nothing},
        ],
    )


def _timed(clone: Path) -> tuple[float, str]:
    """Seconds and output of `dvc repro` in a clone."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    start = time.perf_counter()
    run = subprocess.run(["dvc", "repro"], cwd=clone, env=environment, text=True, capture_output=True, check=True)
    return time.perf_counter() - start, run.stdout


if __name__ == "__main__":
    main()
