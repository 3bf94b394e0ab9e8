"""What a run costs besides training: CPU seconds a stage of `dvc repro`, and of one that has nothing to do.

It runs in a fresh clone of the last commit, a ladder 1/32 as wide for one epoch a model; `--as-is` leaves params.yaml.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from benchmarks.measure import matmul_rate, report

ROOT = Path(__file__).parents[1]
# Stands for `python` where DVC looks for it, and writes down what each process took.
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
    parser.add_argument("--as-is", action="store_true", help="with the settings of params.yaml")
    parser.add_argument("--of", default=str(ROOT), metavar="FOLDER", help="another clone, of a former commit")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", options.of, str(clone)], check=True)
        (clone / "dvc.lock").unlink(missing_ok=True)
        if not options.as_is:
            make_tiny(clone / "params.yaml")
        rows = [*measured(clone, "dvc repro"), measured(clone, "dvc repro with nothing to do")[-1]]
    rate = f"{matmul_rate() / 1e9:.0f} GFLOP/s"
    report("overhead", rows, ladder="as it is" if options.as_is else "tiny", matmul=rate)


def make_tiny(params: Path) -> None:
    """Have a ladder train for a moment."""
    yaml = YAML()
    settings = yaml.load(params)
    settings.update(width=0.03125, threads=1)
    for model in settings["models"].values():
        model["epochs"] = 1
    yaml.dump(settings, params)


def measured(clone: Path, what: str) -> list[dict[str, Any]]:
    """CPU seconds, user and system, of each stage that `dvc repro` runs in a clone, of DVC, and of all."""
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
