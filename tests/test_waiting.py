"""Trainers of one training at once: one trains, and all others take its result."""

import os
import signal
import subprocess
import sys

import pytest
from dvc_project import ROOT

TRAINER = """
import sys
from pathlib import Path
from test_checkpoint import at
from deepen.training.checkpoint import Checkpoints
from pipeline.train import _lock_training

checkpoints = Checkpoints(Path("checkpoints/x"), 0)
with _lock_training("I", checkpoints):
    found = checkpoints.load_newest()
    if found is None or found.position.step < 21:
        print("trains", flush=True)
        sys.stdin.read()
        checkpoints.save(at(20))
        checkpoints.save(at(21))
    else:
        print("takes the result", flush=True)
    checkpoints.remove()
"""


@pytest.fixture
def trainer(tmp_path):
    started = []

    def start():
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT / name) for name in ("src", "", "tests", "tests/helpers")]),
        }
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(
            subprocess.Popen([sys.executable, "-c", TRAINER], cwd=tmp_path, env=environment, text=True, **pipes)
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_any_number_of_waiting_processes_take_the_result(tmp_path, trainer):
    first = trainer()
    assert first.stdout.readline() == "trains\n"
    waiting = [trainer() for _ in range(2)]
    for each in waiting:
        assert "waiting for its result" in each.stdout.readline()
    assert first.communicate() == ("", "")
    assert [each.communicate() for each in waiting] == [("takes the result\n", "")] * 2
    assert [each.returncode for each in (first, *waiting)] == [0] * 3
    assert list((tmp_path / "checkpoints").iterdir()) == []


@pytest.mark.slow
def test_a_process_killed_while_it_waited_keeps_nothing(tmp_path, trainer):
    first = trainer()
    assert first.stdout.readline() == "trains\n"
    other = trainer()
    other.stdout.readline()
    other.send_signal(signal.SIGKILL)
    other.communicate()
    assert first.communicate() == ("", "")
    assert list((tmp_path / "checkpoints").iterdir()) == []
