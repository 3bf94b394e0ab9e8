"""The tests that need CUDA, as a section of the GPU check."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from threading import Timer

from benchmarks.gpu.bench import ROOT
from benchmarks.gpu.sections import Row

MARK = re.compile(r"\bmark\.cuda\b")


def run_cuda_tests(keep: Callable[[Row], None], seconds: float) -> str:
    """Run the tests marked `cuda` and `keep` a row for each; return the fault, or an empty text."""
    files = [str(path) for path in sorted((ROOT / "tests").glob("test_*.py")) if MARK.search(path.read_text())]
    command = [sys.executable, "-m", "pytest", "-o", "addopts=", "-p", "no:cacheprovider", "-p", "no:terminal"]
    command += ["-p", "benchmarks.gpu.pytest_rows", "-m", "cuda", *files]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # whatever plugins this machine has
    outcomes = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        timer = Timer(seconds, process.kill)
        timer.start()
        for line in process.stdout:
            if line.startswith("{"):
                row = json.loads(line)
                outcomes.append(row["outcome"])
                keep(row)
        timer.cancel()
    return _find_fault(outcomes, process.returncode, seconds)


def _find_fault(outcomes: list[str], code: int, seconds: float) -> str:
    if code < 0:
        return f"stopped after {seconds:.0f} seconds or by signal {-code}"
    if failed := outcomes.count("failed"):
        return f"{failed} of {len(outcomes)} tests failed"
    if code or not outcomes:
        return f"pytest ended with code {code} after {len(outcomes)} tests"
    return ""
