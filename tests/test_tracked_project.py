"""Tracking in a project: it trains nothing again, changes no file of a stage, and survives a kill."""

import json
import os
import signal
import time

import pytest

pytest.importorskip("tensorboard")
from test_tracking import read_tensorboard

ON = ("tracking: none ", "tracking: tensorboard ")


def runs(project):
    return {run["settings"]["model"]: run for run in read_tensorboard(project.path)}


def switch_on(project, *changes):
    project.edit("params.yaml", ON, *changes)


def test_switching_it_on_trains_nothing_again_and_says_so(project):
    switch_on(project)
    said = project("dvc repro")
    assert project.stages(said) == ["check"]
    assert "tracking: tensorboard; stages that are up to date, or restored from DVC's cache, log nothing" in said
    assert not (project.path / "runs").exists()


def test_a_tracked_run_writes_the_same_files_and_git_ignores_its_runs(project):
    before = project.files()
    switch_on(project)
    project("dvc repro --force")
    assert project.files() == before
    assert project("git status --short").split() == ["M", "dvc.lock", "M", "params.yaml"]  # DVC stages dvc.lock
    found = runs(project)
    assert sorted(found) == ["I", "II", "III"]
    for name, run in found.items():
        metrics = json.loads(project.read(f"metrics/{name}.json"))
        assert run["curves"]["test/top1"] == [(1, pytest.approx(metrics["top1"], rel=1e-6))]
        assert len(run["curves"]["validation/top1"]) == 1
        assert f"weights/{name}.safetensors" in run["files"]
    assert [name for name, run in found.items() if run["tables"]] == ["III"]


def test_an_experiment_in_a_copy_logs_to_the_project_under_its_name(project):
    project("dvc exp run --temp --name slow -S tracking=tensorboard -S lr=0.001 -S depth=I report")
    assert project("git status --short") == ""
    (folder,) = (project.path / "runs").iterdir()
    assert folder.name.startswith("slow-I-")
    run = runs(project)["I"]
    assert run["settings"]["peak_lr"] == "0.001"
    assert run["tables"] == {"ladder"}


def test_a_killed_training_continues_its_run_and_repeats_no_epoch(project):
    switch_on(project, ("checkpoint_seconds: 60 ", "checkpoint_seconds: 0 "))
    project.edit("params.yaml", ("epochs: 1\n", "epochs: 40\n"))
    process = project.start("python -m pipeline.train I", real=False)
    deadline = time.monotonic() + 60
    while len(runs_now := list((project.path / "live/I").glob("*.tsv"))) == 0 or count_rows(runs_now[0]) < 5:
        assert time.monotonic() < deadline, project.output
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    (interrupted,) = runs(project).values()
    assert 1 <= len(interrupted["curves"]["validation/top1"]) < 40
    assert "resuming after" in project("python -m pipeline.train I")
    (run,) = runs(project).values()
    assert [step for step, _ in run["curves"]["validation/top1"]] == list(range(1, 41))


def count_rows(path):
    return len(path.read_text().splitlines()) - 1


def test_of_several_processes_one_logs(project):
    switch_on(project)
    project.env["DEEPEN_LAUNCH"] = "torchrun --standalone --nproc-per-node 2"
    project("dvc repro --force --single-item train@I evaluate@I")
    (run,) = list(read_tensorboard(project.path))
    assert [step for step, _ in run["curves"]["validation/top1"]] == [1]
    assert len(run["curves"]["test/top1"]) == 1


def test_a_tracker_that_fails_stops_no_stage(project):
    before = project.files()
    switch_on(project)
    (project.path / "runs").write_text("a file, where the folder of the runs should be")
    said = project("dvc repro --force --single-item train@I evaluate@I report")
    assert said.count("warning: I: tracking: tensorboard failed (") == 2
    assert said.count("warning: III: tracking: tensorboard failed (") == 1
    assert project.files() == before


def test_a_missing_package_is_an_error_before_anything_trains(project):
    project.edit("params.yaml", ("tracking: none ", "tracking: mlflow "), ("seed: 0 ", "seed: 1 "))
    project.env["PYTHONPATH"] = str(project.path / "without")
    (project.path / "without").mkdir()
    hide = "import sys, importlib.util as u; f = u.find_spec\nu.find_spec = lambda name, *a: None if name == 'mlflow' else f(name, *a)\n"
    (project.path / "without/sitecustomize.py").write_text(hide)
    project.env["PATH"] = project.real_path
    said = project("dvc repro", ok=False)
    assert "error: params.yaml: tracking: mlflow needs the Python package mlflow" in said
    assert "python -m pip install --editable '.[mlflow]'" in said
    assert "train@" not in said
