import os
import signal
import subprocess
import sys
import time

import pytest
from dvc_project import ROOT
from interrupted import interrupt_imports

from deepen.core.errors import Interrupted
from deepen.runtime.interrupt import Interruption


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_noted_and_told_when_asked_for(number):
    before = signal.getsignal(number)
    with Interruption("III") as interruption:
        interruption.check("before it came")
        os.kill(os.getpid(), number)
        while interruption.received is None:
            time.sleep(0.001)
        with pytest.raises(Interrupted, match=r"^III: stopped after 3 steps; dvc repro resumes from") as error:
            interruption.check("after 3 steps")
    assert error.value.code == 128 + number
    assert signal.getsignal(number) is before
    assert signal.set_wakeup_fd(-1) == -1


BUSY = """
import sys, time, torch
from deepen.runtime import interrupt
interrupt.GRACE_SECONDS = {grace}
with interrupt.Interruption("III", "the same dvc exp run", can_resume=lambda: {resumes}):
    print("ready", flush=True)
    while True:
        {work}
"""


@pytest.mark.parametrize("work", ["time.sleep(60)", "torch.randn(4000, 4000) @ torch.randn(4000, 4000)"])
@pytest.mark.slow
def test_a_step_that_takes_too_long_is_not_waited_for(work):
    code, output, seconds = told(work, signal.SIGTERM)
    assert code == 143
    assert (
        output
        == "III: stopped during a step; the same dvc exp run resumes from its last checkpoint and repeats the steps since\n"
    )
    assert seconds < 40  # of the 60 of the step


@pytest.mark.slow
def test_before_the_first_checkpoint_nothing_is_said_to_resume():
    _, output, _ = told("time.sleep(60)", signal.SIGTERM, signal.SIGTERM, resumes=False)
    assert output == (
        "III: stopped during a step, before its first checkpoint; the same dvc exp run trains it from the start\n"
    )


@pytest.mark.slow
def test_nothing_is_waited_for_after_a_second_signal():
    code, output, seconds = told("time.sleep(60)", signal.SIGINT, signal.SIGINT, grace=60)
    assert code == 130
    assert "stopped during a step" in output
    assert seconds < 40


@pytest.mark.parametrize(
    ("number", "variable", "command"),
    [
        (signal.SIGINT, {}, "dvc repro"),
        (signal.SIGTERM, {}, "dvc repro"),
        (signal.SIGTERM, {"DVC_EXP_BASELINE_REV": "0a1b2c3d"}, "the same dvc exp run"),
    ],
)
def test_a_stage_that_trains_nothing_ends_at_once_and_leaves_no_half_file(tmp_path, number, variable, command):
    code = (
        "import time; from pathlib import Path; from deepen.core.files import write_atomically; from pipeline.shared.stage import run\n"
        "def stage():\n"
        "    with write_atomically(Path('x')) as temporary:\n"
        "        temporary.write_text('half')\n"
        "        print('ready', flush=True)\n"
        "        time.sleep(60)\n"
        "run(stage)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variable}
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        process.stdout.readline()
        process.send_signal(number)
        assert process.wait() == 128 + number
        assert process.stderr.read() == f"stopped; {command} resumes this stage\n"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("words", [["pipeline.train", "I"], ["pipeline.ready", "repro"], ["study.arm", "a", "b", "0"]])
@pytest.mark.slow
def test_a_stage_that_is_still_importing_ends_at_once(tmp_path, words):
    signals = {signal.SIGINT: 130, signal.SIGTERM: 143}
    ended = interrupt_imports(tmp_path, ["-m", *words], signals, "pipeline.shared.stage")
    assert ended == {each: {(code, "stopped; dvc repro resumes this stage\n")} for each, code in signals.items()}


def told(work, *signals, resumes=True, grace=1):
    with subprocess.Popen(
        [sys.executable, "-c", BUSY.format(work=work, resumes=resumes, grace=grace)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdout.readline()
        start = time.monotonic()
        for number in signals:
            process.send_signal(number)
            time.sleep(0.3)
        return process.wait(), process.stderr.read(), time.monotonic() - start
