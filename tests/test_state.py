"""`deepen` alone says where a project stands and what is next."""

import json
import re
import shutil
import subprocess
import sys

import pytest
from dvc_project import ROOT
from test_checkpoint import at

from deepen.cli import main
from deepen.runtime.lock import hold_lock
from deepen.training.checkpoint import Checkpoints


@pytest.fixture
def project(tmp_path, monkeypatch):
    """One in which nothing has run, and of which git knows nothing."""
    for name in ("params.yaml", "dvc.yaml", "Makefile"):
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return tmp_path


def said(capsys):
    main([])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    return re.sub(r"\n  ", " ", "\n".join(lines)).splitlines()


def test_deepen_outside_a_project_says_where_to_go(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    first, second = said(capsys)
    assert first == f"{tmp_path} is not a Deepen project: params.yaml or dvc.yaml is missing"
    assert second.startswith(
        "next: cd to your clone of Deepen or a project; or start one: deepen init NEW, or deepen init photos/"
    )


def test_deepen_finds_the_project_from_below(project, monkeypatch, capsys):
    (project / "weights").mkdir()
    monkeypatch.chdir(project / "weights")
    assert said(capsys) == [f"this folder is inside a Deepen project: cd {project}"]


def test_deepen_says_that_nothing_is_trained(project, capsys):
    assert said(capsys) == ["nothing trained yet", "next: make repro (or dvc repro), which trains I, II, III"]


def test_deepen_names_make_only_where_it_works(project, capsys):
    (project / "Makefile").unlink()
    assert said(capsys) == ["nothing trained yet", "next: dvc repro, which trains I, II, III"]


def test_deepen_reports_wrong_settings(project, capsys):
    (project / "params.yaml").write_text(
        re.sub("data: .*", "data: digist", (project / "params.yaml").read_text(), count=1)
    )
    first, second = said(capsys)
    assert first.startswith("params.yaml: data: unknown data set 'digist'; use one of digits")
    assert first.endswith("; did you mean digits?")
    assert second == "next: deepen settings"
    with (project / "params.yaml").open("a") as file:
        file.write("surprise: 1\n")
    assert said(capsys)[0].endswith(" (and 1 more error)")


def test_deepen_names_the_model_that_is_half_trained(project, capsys):
    (project / "weights").mkdir()
    (project / "weights/I.safetensors").touch()
    checkpoints = Checkpoints(project / "checkpoints/II-0a1b2c", 0)
    checkpoints.save(at(10))
    (project / "checkpoints/III-ffffff").mkdir()  # before its first checkpoint
    told = "II was interrupted (checkpoint at step 10 of 21): the same command resumes it, unless anything else has changed"
    assert said(capsys) == [told, "1 model trained", "next: dvc repro, which trains II, III"]
    with hold_lock(project / "checkpoints/II-0a1b2c.lock", print):
        assert said(capsys)[0].startswith("II is being trained (checkpoint at step 10 of 21) by process ")
    next((project / "checkpoints/II-0a1b2c").iterdir()).write_text("x")  # damaged, which the training itself will tell
    assert said(capsys)[0] == "1 model trained"


def test_deepen_names_the_model_that_trains_before_its_first_checkpoint(project, capsys):
    with hold_lock(project / "checkpoints/I-0a1b2c.lock", print):
        first, second = said(capsys)
        assert first.startswith("I is being trained by process ")
        assert second == "next: dvc repro"
        (project / "checkpoints/I-0a1b2c").mkdir()
        assert said(capsys) == [first, second]
    (project / "checkpoints/II-0a1b2c.lock").touch()  # of a killed process
    assert said(capsys)[0] == "nothing trained yet"


def test_deepen_says_that_all_models_are_trained(built, monkeypatch, capsys):
    monkeypatch.chdir(built.path)
    top1 = json.loads(built.read("metrics/final.json"))["top1"]
    assert said(capsys) == [
        f"3 models trained on digits, top-1 of III {top1:.2f} %, report at reports/index.html",
        "next: dvc exp run --temp -S lr=0.01, or deepen predict weights/III.safetensors photo.jpg",
    ]


def test_a_checkpoint_that_a_complete_run_left_is_not_called_interrupted(built, monkeypatch, capsys):
    """DVC's run cache may have the result of an interrupted training; a checkpoint may also be of an experiment."""
    monkeypatch.chdir(built.path)
    folder = built.path / "checkpoints/II-0a1b2c"
    Checkpoints(folder, 0).save(at(10))
    try:
        assert said(capsys)[0] == (
            "II: a checkpoint that this run does not need (at step 10 of 21); the same command resumes an interrupted "
            "experiment, deepen checkpoints --clear removes it"
        )
    finally:
        shutil.rmtree(folder)


def test_experiments_are_counted(project, capsys):
    commands = ["init -q", "add -A", "-c user.name=t -c user.email=t@example.org commit -qm start"]
    for words in commands:
        subprocess.run(["git", *words.split()], check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    for name in (f"{head[:2]}/{head[2:]}/low", f"{head[:2]}/{head[2:]}/high", "celery/stash/1", f"00/{head[2:]}/old"):
        subprocess.run(["git", "update-ref", f"refs/exps/{name}", "HEAD"], check=True)
    assert said(capsys)[0] == "2 experiments from the last commit: deepen results"


def test_deepen_says_that_settings_have_changed(project, built, capsys):
    shutil.copytree(built.path, project, dirs_exist_ok=True, symlinks=True)
    params = project / "params.yaml"
    params.write_text(re.sub("lr: auto ", "lr: 0.01 ", params.read_text(), count=1))
    assert said(capsys)[-1] == "next: dvc repro: lr changed after the run"
    main(["new", "IV", "--after", "III"])
    capsys.readouterr()
    assert said(capsys)[-1] == "next: dvc repro, which trains IV"


def test_deepen_s_state_needs_neither_pytorch_nor_dvc(project):
    (project / "weights").mkdir()
    (project / "weights/I.safetensors").touch()
    checkpoints = Checkpoints(project / "checkpoints/II-0a1b2c", 0)
    checkpoints.save(at(10))
    program = "import sys; from deepen.cli import main; main([]); print(*{'torch', 'dvc', 'pandas'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""
