"""The tests that need CUDA, as a section of the GPU check."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from threading import Timer
from typing import IO

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
    with (
        tempfile.TemporaryFile("w+", errors="replace") as errors,
        subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment
        ) as process,
    ):
        assert process.stdout is not None
        timer = Timer(seconds, process.kill)
        timer.start()
        for line in process.stdout:
            if line.startswith("{"):
                row = json.loads(line)
                outcomes.append(row["outcome"])
                keep(row)
        timer.cancel()
        code = process.wait()
        return _find_fault(outcomes, code, seconds, _read_reason(errors))


def _read_reason(errors: IO[str]) -> str:
    """Return the last line that pytest wrote to standard error, such as the error of an import; print all of them."""
    errors.seek(0)
    text = errors.read()
    sys.stderr.write(text)
    lines = [line.removeprefix("E ").strip() for line in text.splitlines() if line.strip()]
    return f": {lines[-1][:300]}" if lines else ""


def _find_fault(outcomes: list[str], code: int, seconds: float, reason: str) -> str:
    if code < 0:
        return f"stopped after {seconds:.0f} seconds or by signal {-code}"
    if failed := outcomes.count("failed"):
        return f"{failed} of {len(outcomes)} tests failed"
    if code or not outcomes:
        return f"pytest ended with code {code} after {len(outcomes)} tests{reason}"
    return ""
