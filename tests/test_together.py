"""Stages that several processes run, started by torchrun from `dvc repro` as DEEPEN_LAUNCH says."""

import os
import re
import signal
import socket
import sys
import time
from types import SimpleNamespace

import psutil
import pytest
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from pipeline.shared import launched

TWO = "torchrun --standalone --nproc-per-node 2 --max-restarts 3"


def lengthen(project):
    """Have the first model train for some seconds, and keep a checkpoint every step."""
    project.edit("params.yaml", ("epochs: 1\n", "epochs: 15\n"), ("_seconds: 60 ", "_seconds: 0 "))
    project.edit("params.yaml", ("progress: normal ", "progress: verbose "))  # a line an epoch, to wait for
    project("git commit -qam slow")
    return project


@pytest.fixture
def project(project):
    """A project whose stages run in two processes."""
    lengthen(project)
    project.env["DEEPEN_LAUNCH"] = TWO
    return project


def rank(project, number, seconds=60):
    """The process of a rank, once there is one."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for process in psutil.process_iter(["cwd", "environ"]):
            if process.info["cwd"] == str(project.path) and (process.info["environ"] or {}).get("RANK") == str(number):
                return process
        time.sleep(0.05)
    raise TimeoutError(project.output)


def wait_for_epoch(project, number):
    end = time.monotonic() + 90
    while f"I, epoch {number} of" not in project.output:
        assert time.monotonic() < end, project.output
        time.sleep(0.05)


@pytest.fixture(scope="module")
def machines(built, tmp_path_factory):
    """Two clones, as on two machines, that have trained the first model together."""
    clones = [lengthen(built.copy(tmp_path_factory.mktemp(name))) for name in ("first", "second")]
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    for clone in clones:
        clone.env["DEEPEN_LAUNCH"] = (
            f"torchrun --nnodes 2 --nproc-per-node 1 --rdzv-backend c10d --rdzv-endpoint localhost:{port} --rdzv-id 1"
        )
    processes = [clone.start("dvc repro train@I", real=False) for clone in clones]
    assert [process.wait() for process in processes] == [0, 0], "".join(clone.output for clone in clones)
    return clones


def test_a_killed_rank_is_started_again_and_the_result_is_that_of_an_undisturbed_run(project, machines):
    process = project.start("dvc repro train@I")
    wait_for_epoch(project, 2)
    rank(project, 1).kill()
    assert process.wait() == 0, project.output
    assert re.search(r"^I: resuming after \d+ of", project.output, re.MULTILINE)
    assert project.files() == machines[0].files()  # in however many processes on however many machines
    assert not list((project.path / "checkpoints").iterdir())

    del project.env["DEEPEN_LAUNCH"]
    assert project.ran("dvc repro train@I") == []  # in how many processes is not of its identity


def test_an_interrupted_group_says_so_once_and_resumes_in_one_process(project):
    process = project.start("dvc repro train@I")
    wait_for_epoch(project, 2)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait() != 0
    (line,) = re.findall(r"^I: stopped after (\d+) of \d+ steps; dvc repro resumes from", project.output, re.MULTILINE)
    del project.env["DEEPEN_LAUNCH"]
    assert f"I: resuming after {line} of" in project("dvc repro train@I")


def test_evaluation_in_two_processes_has_the_results_of_one(project):
    alone = project.read("metrics/I.json")
    assert project("python -m pipeline.evaluate I").endswith(" on 898 test images\n")
    assert project.read("metrics/I.json") == alone


def test_two_machines_with_a_clone_each_write_the_same_files_and_report_once(machines):
    first, second = machines
    assert first.files() == second.files()
    assert first.read("dvc.lock") == second.read("dvc.lock")
    said = first.output + second.output
    assert len(re.findall("^I: training for", said, re.M)) == len(re.findall("^I: trained 15 epochs", said, re.M)) == 1


@pytest.mark.parametrize(
    ("launch", "error"),
    [
        ("torchrum -n 2", "DEEPEN_LAUNCH: torchrum -n 2 can't be started (No such file or directory); write for example"),
        ("torchrun --standalone --nproc-per-node two", "DEEPEN_LAUNCH: torchrun can't start (Unsupported nproc_per_node value: two); write for example DEEPEN_LAUNCH='torchrun"),
        ("torchrun --standalone --nproc-per-node 0", "DEEPEN_LAUNCH: torchrun can't start (an invalid number of processes or nodes); write"),
        ("true", "DEEPEN_LAUNCH: true ended without running the stage; write for example DEEPEN_LAUNCH='torchrun"),
        ("env true", "DEEPEN_LAUNCH: env true ended without running the stage; write for example"),
        ("torchrun '", "DEEPEN_LAUNCH: torchrun ' is not a valid command line (No closing quotation); write for example DEEPEN_LAUNCH='torchrun"),
    ],
)  # fmt: skip
def test_a_launcher_that_can_t_start_is_one_error(project, launch, error):
    project.env["DEEPEN_LAUNCH"] = launch
    assert project("python -m pipeline.train I", ok=False).startswith(f"error: {error}")


@pytest.mark.parametrize("stage", ["train", "evaluate"])
def test_an_error_of_all_processes_is_told_once_and_without_torchrun_s_traceback(project, stage):
    project.env["DEEPEN_LAUNCH"] = TWO.removesuffix(" --max-restarts 3")
    path = "data/statistics.json" if stage == "train" else "transfers/I.json"
    (project.path / path).write_text("{}")
    said = project(f"python -m pipeline.{stage} I", ok=False)
    assert re.fullmatch(rf"error: {path}: invalid file \(its checksum is missing\); .*\n", said)


def test_a_launcher_of_another_kind_runs_the_stage_and_passes_its_exit_code_on(project):
    project.env["DEEPEN_LAUNCH"] = "env"  # runs -m: not a command
    assert project("python -m pipeline.train I", ok=False)
    (project.path / "launch").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (project.path / "launch").chmod(0o755)
    project.env["DEEPEN_LAUNCH"] = "./launch"
    assert project("python -m pipeline.evaluate I").endswith(" on 898 test images\n")
    (project.path / "transfers/I.json").write_text("{}")
    assert project("python -m pipeline.evaluate I", ok=False).startswith("error: transfers/I.json: invalid file")
    assert list((project.path / "weights").glob(".launch-*")) == []


def test_sigterm_reaches_the_stage_of_a_launcher_of_another_kind(project):
    project.env["DEEPEN_LAUNCH"] = f"env {sys.executable}"
    process = project.start("python -m pipeline.train I")
    project.trainer()
    wait_for_epoch(project, 2)
    process.terminate()
    assert process.wait() == 128 + signal.SIGTERM
    assert re.search(r"^I: stopped after \d+ of \d+ steps; dvc repro resumes from", project.output, re.MULTILINE)


def test_an_unknown_model_is_told_before_processes_start(project):
    project.env["DEEPEN_LAUNCH"] = "false"
    said = project("python -m pipeline.train IX", ok=False)
    assert said == "error: params.yaml: models: unknown model IX; use one of I, II, III\n"


def test_a_process_that_a_signal_ended_is_named(monkeypatch, capsys):
    failures = {rank: SimpleNamespace(exitcode=code) for rank, code in enumerate((1, -signal.SIGTERM, -signal.SIGKILL))}

    def fail():
        raise ChildFailedError("train", failures)

    monkeypatch.setattr(ChildFailedError, "format_msg", lambda self: "")
    monkeypatch.setattr(launched, "main", fail)
    monkeypatch.setattr(launched.logging, "disable", lambda level: None)
    with pytest.raises(SystemExit) as exit:
        launched.launch()
    assert exit.value.code == 1
    assert capsys.readouterr().err == (
        "error: the process of rank 2 was ended by SIGKILL; check whether the machine ran out of memory, unless an error above says why; run dvc repro again\n"
    )


def test_wrong_settings_are_one_error_of_all_processes(project):
    project.edit("params.yaml", ("lr: auto ", "lr: 0 "))
    assert project("python -m pipeline.train I", ok=False).count("error: ") == 1
