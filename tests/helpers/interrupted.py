"""A program that is interrupted at its imports: interrupting/sitecustomize.py does it, without any dependence on time."""

import ast
import os
import signal
import subprocess
import sys
from pathlib import Path

from dvc_project import ROOT

FOLDERS = [str(Path(__file__).with_name("interrupting")), str(ROOT / "src"), str(ROOT)]


def interrupt_imports(folder, words, signals, first):
    """Run Python in a folder; return {signal: endings} with each (exit code, standard error) of the interrupted forks.

    `first` is the module at whose import the interruptions begin.
    """
    report = folder / "interrupted.txt"
    settings = {
        "INTERRUPTED": report,
        "INTERRUPT_FROM": first,
        "INTERRUPT_WITH": " ".join(str(int(each)) for each in signals),
    }
    environment = {
        **os.environ,
        **{name: str(value) for name, value in settings.items()},
        "PYTHONPATH": os.pathsep.join(FOLDERS),
    }
    subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # which a background job ignores
    )
    lines = [ast.literal_eval(line) for line in report.read_text().splitlines()]
    assert len(lines) > 10 * len(signals)
    return {each: {(code, told) for _, number, code, told in lines if number == each} for each in signals}
