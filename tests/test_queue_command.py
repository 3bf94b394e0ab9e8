"""`deepen queue`: what it tells of experiments as they end; with DVC itself it runs in test_docs.py."""

import json
import os
import subprocess
from types import SimpleNamespace

import psutil
import pytest

from deepen.cli import main, queue
from deepen.core.errors import InputError
from deepen.experiments import queue as dvc_queue
from deepen.experiments.queue import Queue, Task

STATES = {"w": "waits", "r": "runs", "d": "done", "f": "failed"}
ACCURACIES = {"a": 97.216, "b": None, "c": 50.0}


class Scripted:
    """A queue that goes from state to state, `w`aits, `r`uns, `d`one or `f`ailed by name, and what was done to it."""

    def __init__(self, *states, workers=True):
        self.states, self.workers, self.started = list(states), workers, 0

    def list_tasks(self):
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return [Task(f"key of {name}", name, STATES[letter]) for name, letter in state.items()]

    def read_top1(self, task):
        return ACCURACIES[task.name]

    def has_worker(self):
        return self.workers

    def start_worker(self):
        self.started += 1


def run(states):
    queue.run_queue(states, seconds=0)


@pytest.fixture
def clock(monkeypatch):
    """Sixty seconds pass whenever somebody looks at it."""
    times = iter(range(0, 100_000, 60))
    monkeypatch.setattr(queue.time, "monotonic", lambda: next(times))


def test_a_line_for_each_that_ends_with_its_top1_and_the_time_left(capsys, clock):
    run(
        Scripted(
            {"b": "w", "a": "w", "old": "d", "older": "f"},
            {"b": "w", "a": "r", "old": "d"},
            {"b": "w", "a": "d"},
            {"b": "r", "a": "d", "c": "w"},
            {"b": "d", "a": "d", "c": "d"},
        )
    )
    assert capsys.readouterr().out.splitlines() == [
        "2 experiments, one after the other: a, b; deepen watch shows the training",
        "a: top-1 97.22 %; 1 of 2 done, about 60 s left",
        "1 more experiment: c; deepen watch shows the training",
        "b: done; 2 of 3 done, about 60 s left",
        "c: top-1 50.00 %; 3 of 3 done",
    ]


def test_a_failed_experiment_is_named_with_the_command_that_shows_why(capsys):
    with pytest.raises(InputError) as error:
        run(Scripted({"a": "w", "c": "w", "x\n": "w"}, {"a": "d", "c": "f", "x\n": "f"}))
    assert str(error.value) == "2 of 3 experiments failed: c, 'x\\n'; dvc queue logs c shows why"
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("c: failed, dvc queue logs c shows why; 2 of 3 done, about ")
    assert lines[3] == "'x\\n': failed, dvc queue logs 'x\\n' shows why; 3 of 3 done"


def test_a_worker_is_started_where_none_lives_and_some_wait():
    states = Scripted(
        {"a": "w", "b": "w"}, {"a": "r", "b": "w"}, {"a": "d", "b": "w"}, {"a": "d", "b": "d"}, workers=False
    )
    run(states)
    assert states.started == 2


def test_workers_that_end_without_running_anything_are_not_started_for_ever():
    states = Scripted({"a": "w"}, workers=False)
    with pytest.raises(
        InputError, match="DVC's worker exited 5 times without running an experiment; dvc queue start -v shows why"
    ):
        run(states)
    assert states.started == 5


def test_an_experiment_removed_from_the_queue_is_no_longer_awaited(capsys):
    run(Scripted({"a": "w", "b": "w"}, {"a": "d"}, {"a": "d"}, {"a": "d", "b": "r"}, {"a": "d"}))
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "b: was removed from the queue; 1 of 1 done"
    assert len(said) == 3


def test_an_empty_queue_is_a_message(capsys):
    run(Scripted({"old": "d"}))
    assert capsys.readouterr().out == "the queue is empty; add experiments with deepen exp --queue\n"


def test_ctrl_c_ends_deepen_queue_and_no_experiment(monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(dvc_queue, "Queue", lambda project: Scripted({"a": "r"}))
    monkeypatch.setattr(queue.time, "sleep", interrupted)
    with pytest.raises(SystemExit) as ended:
        main(["queue"])
    assert ended.value.code == 130
    assert (
        str(ended.value) == "the experiments continue; deepen queue shows them again, dvc queue stop --kill ends them"
    )


def test_deepen_queue_outside_a_project_is_an_error(tmp_path):
    (tmp_path / "params.yaml").touch()
    with pytest.raises(SystemExit, match=r"not a DVC project .*; change to the folder of your project"):
        main(["queue", "--project", str(tmp_path)])


class TestQueue:
    """What is known of DVC's queue, as DVC keeps it in files."""

    @pytest.fixture
    def found(self, tmp_path):
        """A queue whose entries a test sets, and which describes its processes in `describe`."""
        (tmp_path / "celery").mkdir()
        made = object.__new__(Queue)
        made._project = tmp_path
        made._queue = SimpleNamespace(
            wdir=str(tmp_path / "celery"),
            pid_dir=str(tmp_path / "exps" / "run"),
            repo=SimpleNamespace(tmp_dir=str(tmp_path)),
            iter_queued=list,
            iter_active=list,
            iter_done=list,
        )
        return made

    def describe(self, file, pid, returncode=None):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"pid": pid, "returncode": returncode}))

    def entry(self, name):
        return SimpleNamespace(stash_rev=f"{name or 'x'}0123456789", name=name)

    def test_states_of_dvc_s_queue_are_read(self, found, tmp_path):
        result = SimpleNamespace(exp_hash="1", ref_info="refs/exps/a/b")
        found._queue.iter_queued = lambda: [self.entry("w")]
        found._queue.iter_active = lambda: [self.entry("r"), self.entry(None)]
        found._queue.iter_done = lambda: [(self.entry("d"), result), (self.entry("f"), None)]
        self.describe(tmp_path / "exps/run/r0123456789/r0123456789.json", os.getpid())
        assert [(task.name, task.state, task.reference) for task in found.list_tasks()] == [
            ("w", "waits", ""),
            ("r", "runs", ""),
            ("x012345", "failed", ""),  # its process has ended, and no worker is there to say how
            ("d", "done", "refs/exps/a/b"),
            ("f", "failed", ""),
        ]
        self.describe(tmp_path / "celery/dvc-exp-worker-1.json", os.getpid())
        assert [task.state for task in found.list_tasks()].count("runs") == 2

    def test_a_worker_lives_while_the_process_does_that_its_file_describes(self, found, tmp_path):
        file = tmp_path / "celery/dvc-exp-worker-1.json"
        assert not found.has_worker()
        self.describe(file, os.getpid())
        assert found.has_worker()
        self.describe(file, os.getpid(), returncode=0)
        assert not found.has_worker()
        self.describe(file, os.getpid())
        os.utime(file, (0, psutil.Process().create_time() - 100))  # the number is another process's by now
        assert not found.has_worker()
        file.write_text("{")
        assert not found.has_worker()

    @pytest.mark.parametrize(
        ("log", "told"),
        [
            ("Running stage 'report':\n> python", 97.5),
            ("x\nStage 'report' is cached - skipping run\n", 97.5),
            ("Running stage 'statistics':\n", None),  # then metrics/final.json is still that of the commit
            (None, None),
        ],
    )
    def test_top1_is_that_of_a_report_of_this_experiment(self, found, tmp_path, log, told):
        def git(*words):
            subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t", *words], cwd=tmp_path, check=True)

        git("init", "-q")
        (tmp_path / "metrics").mkdir()
        (tmp_path / "metrics/final.json").write_text('{"top1": 97.5}')
        git("add", "metrics")
        git("commit", "-qm", "x")
        if log is not None:
            self.describe(tmp_path / "exps/run/k/k.json", 0)
            (tmp_path / "exps/run/k/k.out").write_text(log)
        assert found.read_top1(Task("k", "k", "done", "HEAD")) == told

    def test_a_worker_that_does_not_start_is_an_error(self, found, monkeypatch):
        monkeypatch.setenv("PATH", "/usr/bin:/bin")
        monkeypatch.setattr(
            dvc_queue.subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=1, stderr="ERROR: no\n space")
        )
        with pytest.raises(InputError, match=r"dvc queue start failed \(ERROR: no space\); run it to see why"):
            found.start_worker()
