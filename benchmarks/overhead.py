"""Benchmark of the overhead besides training: CPU seconds of each stage of `dvc repro`, and of one with nothing to do.

Runs in a fresh clone of the last commit, with 1/32 of the width and one epoch per model; `--as-is` leaves params.yaml.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from benchmarks.measure import measure_matmul_rate, report

ROOT = Path(__file__).parents[1]
# Takes the place of `python` on DVC's PATH, and logs the CPU seconds of each process.
COUNTING_PYTHON = """#!{python} -ISs
import os, sys
process = os.posix_spawn({python!r}, [{python!r}, *sys.argv[1:]], os.environ)
_, status, used = os.wait4(process, 0)
with open({log!r}, "a") as file:
    print(" ".join(sys.argv[2:]), used.ru_utime + used.ru_stime, sep="\\t", file=file)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--as-is", action="store_true", help="keep the settings of params.yaml")
    parser.add_argument(
        "--of", default=str(ROOT), metavar="FOLDER", help="measure another clone, such as an earlier commit"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", options.of, str(clone)], check=True)
        (clone / "dvc.lock").unlink(missing_ok=True)
        if not options.as_is:
            make_tiny(clone / "params.yaml")
        rows = [*measure_repro(clone, "dvc repro"), measure_repro(clone, "dvc repro with nothing to do")[-1]]
    rate = f"{measure_matmul_rate() / 1e9:.0f} GFLOP/s"
    report("overhead", rows, ladder="as it is" if options.as_is else "tiny", matmul=rate)


def make_tiny(params: Path) -> None:
    """Make the ladder train for a moment only."""
    yaml = YAML()
    settings = yaml.load(params)
    settings.update(width=0.03125, threads=1)
    for model in settings["models"].values():
        model["epochs"] = 1
    yaml.dump(settings, params)


def measure_repro(clone: Path, what: str) -> list[dict[str, Any]]:
    """Run `dvc repro` in a clone; return the CPU seconds (user and system) of each stage, of DVC itself, and in all."""
    with tempfile.TemporaryDirectory() as folder:
        python, log = Path(folder) / "python", Path(folder) / "log"
        python.write_text(COUNTING_PYTHON.format(python=sys.executable, log=str(log)))
        python.chmod(0o755)
        path = os.pathsep.join([folder, str(Path(sys.executable).parent), os.environ["PATH"]])
        process = subprocess.Popen(["dvc", "repro", "--quiet"], cwd=clone, env=os.environ | {"PATH": path})
        _, status, used = os.wait4(process.pid, 0)
        if status:
            raise SystemExit("dvc repro failed")
        total = used.ru_utime + used.ru_stime
        stages = [line.split("\t") for line in log.read_text().splitlines()]
    rows: list[dict[str, Any]] = [
        {"what": command.removeprefix("pipeline."), "CPU seconds": float(cpu)} for command, cpu in stages
    ]
    of_dvc = total - sum(row["CPU seconds"] for row in rows)
    return [*rows, {"what": "DVC itself", "CPU seconds": of_dvc}, {"what": what, "CPU seconds": total}]


if __name__ == "__main__":
    main()
