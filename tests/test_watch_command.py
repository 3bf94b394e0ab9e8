"""`deepen watch`: what trains now, as locks and checkpoints say."""

import os
import shutil
import socket
import subprocess
import sys

import numpy as np
import psutil
import pytest
from dvc_project import ROOT
from safetensors.numpy import save_file
from test_checkpoint import EXAMPLE, POSITION

from deepen.cli import main, watch
from deepen.config.settings import load_settings
from deepen.core.durations import format_duration
from deepen.experiments import watching
from deepen.experiments.watching import list_trainings
from deepen.records.history import Epoch, History
from deepen.runtime.lock import hold_lock
from deepen.training.checkpoint import Checkpoint, Checkpoints
from deepen.training.live import LiveCurves

ROWS = [Epoch(1, 0.1, 1.0, 2.0, 40.0), Epoch(2, 0.1, 1.0, 2.0, 80.0)]


def at(step, *top1):
    history = [Epoch(number, 0.1, 1.25, 0.75, value) for number, value in enumerate(top1, 1)]
    return Checkpoint(
        POSITION.model_copy(update={"training": "II-abc", "step": step, "history": history}), EXAMPLE.tensors
    )


@pytest.fixture
def project(tmp_path, monkeypatch):
    """This process trains II in a copy of a project, in the experiment `low`, after I, which is trained."""
    copy = tmp_path / ".dvc/tmp/exps/tmp1"
    copy.mkdir(parents=True)
    shutil.copy(ROOT / "params.yaml", copy)
    History({}, {}, 1, 1, "", "", ROWS).save(copy / "curves/I.json")
    monkeypatch.chdir(copy)
    monkeypatch.setattr(psutil.Process, "environ", lambda self: {"DVC_EXP_NAME": "low"})
    (tmp_path / "params.yaml").touch()
    (tmp_path / "checkpoints").mkdir()
    with hold_lock(tmp_path / "checkpoints/II-abc.lock", print):
        yield tmp_path


def keep(project, step, *top1, seconds_ago=0.0):
    checkpoints = Checkpoints(project / "checkpoints/II-abc", 0)
    checkpoints.load_newest()
    checkpoints.save(at(step, *top1))
    newest = max((project / "checkpoints/II-abc").glob("*.safetensors"))
    time = newest.stat().st_mtime - seconds_ago
    os.utime(newest, (time, time))


def shown(project, capsys):
    main(["watch", "--project", str(project)])
    return capsys.readouterr().out.splitlines()


def test_watch_says_that_nothing_trains(tmp_path, capsys):
    (tmp_path / "params.yaml").touch()
    assert shown(tmp_path, capsys) == ["no training is running"]


def test_after_a_run_the_model_that_was_trained_last_is_told(tmp_path, capsys):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    for name, epochs in (("I", ROWS[:1]), ("II", ROWS)):
        History({}, {}, 1, 1, "", "", epochs).save(tmp_path / f"curves/{name}.json")
        os.utime(tmp_path / f"curves/{name}.json", (1e9, 1e9))  # a checkout writes all at once
    assert shown(tmp_path, capsys) == ["no training is running; last: II, 2 epochs, validation top-1 80.00 %"]
    os.utime(tmp_path / "curves/I.json")
    assert shown(tmp_path, capsys) == ["no training is running; last: I, 1 epoch, validation top-1 40.00 %"]


class TestBetweenTwoTrainings:
    """A process that sleeps in a copy of the project, with the words of another program."""

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["-m", "pipeline.evaluate", "II"], "stage evaluate@II of experiment low is running"),
            (["-m", "pipeline.report"], "stage report of experiment low is running"),
            (["dvc", "exp", "run", "--temp"], "dvc is between two stages"),
        ],
    )
    def test_watch_names_the_stage_between_two_trainings(self, tmp_path, capsys, words, said):
        copy = tmp_path / ".dvc/tmp/exps/tmp1"
        copy.mkdir(parents=True)
        (tmp_path / "params.yaml").touch()
        for name in ("dvc", "pipeline/evaluate.py", "pipeline/report.py"):
            (copy / name).parent.mkdir(exist_ok=True)
            (copy / name).write_text("print(flush=True)\ninput()\n")
        env = {**os.environ, "DVC_EXP_NAME": "low"}
        process = subprocess.Popen(
            [sys.executable, *words], cwd=copy, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        process.stdout.readline()
        assert shown(tmp_path, capsys) == [f"no training is running; {said}"]
        process.communicate(b"\n")
        assert shown(tmp_path, capsys) == ["no training is running"]


def test_watching_a_folder_that_is_not_a_project_is_an_error(tmp_path):
    with pytest.raises(SystemExit, match=r"not a Deepen project, params\.yaml is missing; run the command"):
        main(["watch", "--once", "--project", str(tmp_path)])


def test_a_training_in_a_copy_with_the_models_before_it(project, capsys):
    assert shown(project, capsys) == ["experiment low, II: epoch 1, started 0 s ago"]
    keep(project, 7, 81.0, seconds_ago=21)
    keep(project, 14, 81.0, 90.5, seconds_ago=7)
    assert shown(project, capsys) == [
        "experiment low, II: epoch 3 of 3, step 14 of 21 as of 7 s ago, about 7 s left",
        "model    epochs    top-1    val loss    loss  validation top-1",
        "-------  --------  -------  ----------  ------",
        "I        2 of 2    80.00    2.000       1.000  40 80",
        "II       2 of 3    90.50    0.750       1.250  81 90",
    ]


def test_before_the_first_checkpoint_the_curves_tell_the_epoch(project, capsys, monkeypatch):
    copy = project / ".dvc/tmp/exps/tmp1"
    (copy / "data").mkdir()
    save_file({"labels": np.zeros(1000, np.int64)}, copy / "data/train.safetensors")
    of = load_settings(copy / "params.yaml").epochs("II", 1000)
    lock = project / "checkpoints/II-abc.lock"
    os.utime(lock, (lock.stat().st_mtime - 20,) * 2)
    assert shown(project, capsys) == [f"experiment low, II: epoch 1 of {of}, started 20 s ago"]
    live = LiveCurves(copy / "live/II/curves.tsv")
    live.start(0, [])
    live.epoch(ROWS[0])
    live.epoch(ROWS[1])
    head, *_, row = shown(project, capsys)
    left = {format_duration(seconds / 2 * (of - 2)) for seconds in range(20, 30)}  # as long as this test has taken
    assert head in {f"experiment low, II: epoch 3 of {of} as of 0 s ago, about {each} left" for each in left}
    assert row.split()[:4] == ["II", "2", "of", str(of)]
    keep(project, 14, 81.0, 90.5, seconds_ago=5)  # older, and no more than these epochs
    assert shown(project, capsys)[0].startswith("experiment low, II: epoch 3 of 3 as of 0 s ago")


def test_a_process_without_a_lock_is_not_shown_as_training(project):
    keep(project, 7, 81.0)
    shutil.copytree(project / "checkpoints/II-abc", project / "checkpoints/III-x")
    (project / "checkpoints/III-x.lock").write_text(f"process 1 on {socket.gethostname()}, since 2026-01-01 00:00")
    assert [each.model for each in list_trainings(project)] == ["II"]


def test_a_checkpoint_that_is_damaged_gives_way_to_the_one_before(project, capsys):
    keep(project, 7, 81.0)
    keep(project, 14, 81.0, 90.5)
    max((project / "checkpoints/II-abc").glob("*.safetensors")).write_bytes(b"x" * 100)
    assert "II: epoch 2 of 3, step 7 of 21" in shown(project, capsys)[0]


def test_a_training_on_another_machine_is_shown_with_what_is_known_of_it(project, capsys):
    keep(project, 7, 81.0)
    (project / "checkpoints/II-abc.lock").write_text("process 1 on elsewhere, since 2026-01-01 00:00")
    lines = shown(project, capsys)
    assert lines[0] == "II: epoch 2 of 3, step 7 of 21 as of 0 s ago"
    assert [line.split()[0] for line in lines[3:]] == ["II"]


def test_a_run_is_the_outermost_dvc(project):
    (found,) = list_trainings(project)
    assert found.run == psutil.Process()

    class Fake:
        def __init__(self, *words):
            self.words = list(words)

        def cmdline(self):
            return self.words

    inner, outer = Fake("python", "/x/bin/dvc", "repro"), Fake("/x/bin/python", "/x/bin/dvc", "exp", "queue-worker")
    trainer = Fake("python", "-m", "pipeline.train")
    trainer.parents = lambda: [Fake("sh"), inner, Fake("x"), outer, Fake("bash", "-c", "x dvc")]
    assert watching._find_run(trainer) is outer


def test_bars_are_on_one_scale_and_fit(project, capsys, monkeypatch):
    keep(project, 7, *([80.0] * 500), 120.0)
    monkeypatch.setenv("COLUMNS", "80")
    (found,) = list_trainings(project)
    monkeypatch.setattr(watch, "_can_print", lambda text: True)
    *_, one, two = watch.describe(found, True).splitlines()
    assert one.endswith(" ▁▅")
    assert two.endswith("▅▅█")
    assert len(two) < 80
    monkeypatch.setattr(watch, "_can_print", lambda text: False)
    assert watch.describe(found, True).splitlines()[-1].endswith("  80 80 80 80 80 120")


def test_watch_refreshes_in_a_terminal_until_the_run_ends(project, capsys, monkeypatch):
    keep(project, 7, 81.0)
    dvc = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    monkeypatch.setattr(watching, "_find_run", lambda process: psutil.Process(dvc.pid))
    looks = []

    def sleep(seconds):
        looks.append(seconds)
        if len(looks) == 1:
            (project / "checkpoints/II-abc.lock").unlink()
        elif len(looks) == 2:
            dvc.communicate(b"\n")

    monkeypatch.setattr(watch.time, "sleep", sleep)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    main(["watch", "--project", str(project)])
    first, then, last = capsys.readouterr().out.replace("\033[J", "").split("\033[")
    assert first.count("\n") == 5
    assert then == "5Ano training is running\n"
    assert last == "1Athe run has ended; see deepen results\n"
    assert looks == [2.0, 2.0]


def test_ctrl_c_ends_watch_without_an_error(tmp_path, capsys, monkeypatch):
    def interrupted(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(watch.time, "sleep", interrupted)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    (tmp_path / "params.yaml").touch()
    main(["watch", "--project", str(tmp_path)])
    assert capsys.readouterr().out == "no training is running; waiting for the next one\n"


def test_watch_does_not_import_pytorch(tmp_path):
    (tmp_path / "params.yaml").touch()
    code = "import sys; from deepen.cli import main; main(['watch', '--once']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "no training is running\nFalse\n"
