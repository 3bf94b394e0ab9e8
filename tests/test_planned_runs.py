"""Runs of several seeds: their plan, which of them are done, and what happens when one fails or is stopped."""

from dataclasses import replace

import pytest
from seed_runs import experiment, params

from deepen.cli import planned_runs
from deepen.cli.planned_runs import require_success, run_all
from deepen.core.errors import InputError, Interrupted
from deepen.seeds.planned_runs import plan_replacement, plan_seeds


def plan_error(seeds, changes=""):
    with pytest.raises(InputError) as error:
        plan_seeds(params(), "a", seeds, changes)
    return list(error.value.faults)


def test_each_seed_is_a_run_with_the_changes():
    one, two = plan_seeds(params(), "a", [3, 4], "lr=0.01 datasets.folder.root=/my photos")
    assert (one.name, two.name) == ("a-seed-3", "a-seed-4")
    assert one.overrides == ("lr=0.01", "datasets.folder.root='/my photos'", "seed=3")
    assert one.settings == params(seed=3, lr=0.01, datasets__folder__root="/my photos")


@pytest.mark.parametrize(
    ("seeds", "changes", "error"),
    [
        ([0, 1, 0], "", "seed 0: listed 2 times; list each seed once"),
        ([-1], "", "seed -1: must be 0 to 9223372036854775807; write for example deepen seeds 0 1 2"),
        ([0], "seed=3", "seed=3: the seeds are arguments of their own; write for example deepen seeds 0 1 2"),
        ([0], "lr=0.1,0.2", "lr=0.1,0.2: several values; run each value with its own --name"),
        ([0], "lr=${width}", "lr=${width}: ${...} is not supported with seeds; write the value"),
        ([0], "lr=-1", "params.yaml, with these changes: lr: must be greater than or equal to 0.00000001, got -1; write for example lr: 0.01"),
        ([0], "lrr=1", "lrr: unknown setting; did you mean lr?"),
    ],
)  # fmt: skip
def test_seeds_and_changes_that_are_wrong_are_one_error(seeds, changes, error):
    assert plan_error(seeds, changes) == [error]


class TestDone:
    run = plan_seeds(params(), "a", [1], "lr=0.01")[0]

    def test_a_run_with_results_and_these_settings_is_done(self):
        assert self.run.is_done([experiment("a-seed-1", 1, lr=0.01, progress="quiet")])
        assert not self.run.is_done([experiment("a-seed-2", 2, lr=0.01)])

    def test_another_seed_of_the_group_with_other_settings_is_an_error_before_anything_runs(self):
        others = [experiment("a-seed-2", 2, lr=0.02), experiment("a-seed-2-b", 2, lr=0.5)]
        with pytest.raises(InputError) as raised:
            self.run.is_done(others)
        assert str(raised.value) == (
            "a-seed-2: exists with other settings (lr: 0.02 there, 0.01 here); choose another --name, or run dvc exp remove "
            "a-seed-2"
        )
        assert not self.run.is_done(others[1:])

    @pytest.mark.parametrize(
        ("found", "error"),
        [
            (experiment("a-seed-1", 1, lr=0.02, width=0.5), "exists with other settings (lr: 0.02 there, 0.01 here and 1 more)"),
            (experiment("a-seed-1", 1, lr=0.01, models__II__epochs=3, depth="I"), "exists with other settings (depth: I there, III here and 1 more)"),
            (experiment("a-seed-1", 1, lr=0.01, why="dvc.lock has no stage report"), "exists without results (dvc.lock has no stage report)"),
        ],
    )  # fmt: skip
    def test_a_name_that_another_run_has_is_an_error(self, found, error):
        with pytest.raises(InputError) as raised:
            self.run.is_done([found])
        remedy = "choose another --name, or run dvc exp remove a-seed-1"
        assert str(raised.value) == f"a-seed-1: {error}; {remedy}"


def test_a_replacement_overrides_only_settings_that_differ():
    wanted = params(depth="X", models={"X": {"after": "scratch", "layers": "conv3-8 maxpool fc-8", "epochs": 2}})
    assert plan_replacement(params(), "b", wanted).overrides == (
        "++depth='X'",
        "~models",
        "++models={X: {after: 'scratch', layers: 'conv3-8 maxpool fc-8', epochs: 2}}",
    )


class Dvc:
    """A made-up DVC, which makes the experiments of runs or fails; `stopped` is the run that gets Ctrl-C."""

    def __init__(self, monkeypatch, runs, failing=(), stopped=""):
        self.runs, self.failing, self.stopped = runs, failing, stopped
        self.made, self.started, self.params = [], [], params()
        monkeypatch.setattr(planned_runs.shutil, "which", lambda name: name)
        monkeypatch.setattr(planned_runs, "require_ascii_cache", lambda: None)
        monkeypatch.setattr(planned_runs, "read_params", lambda project: dict(self.params))
        monkeypatch.setattr(planned_runs, "_list_experiments", lambda: self.made)
        monkeypatch.setattr(planned_runs.subprocess, "Popen", self)

    def __call__(self, words):
        self.started.append(words[words.index("--name") + 1])
        self.waited = 0
        return self

    def wait(self):
        self.waited += 1
        name = self.started[-1]
        if name == self.stopped and self.waited == 1:
            raise KeyboardInterrupt
        if name not in self.failing:
            run = next(each for each in self.runs if each.name == name)
            self.made.append(replace(experiment(name), settings=run.settings))
        return int(name in self.failing)


class TestRunning:
    @pytest.fixture
    def runs(self):
        return plan_seeds(params(), "a", [0, 1, 2], "")

    def test_what_is_done_is_not_run_again(self, monkeypatch, capsys, runs):
        dvc = Dvc(monkeypatch, runs)
        dvc.made = [experiment("a-seed-1", 1)]
        assert run_all(runs) == []
        assert dvc.started == ["a-seed-0", "a-seed-2"]
        assert capsys.readouterr().out == "done already: a-seed-1\na-seed-0: run 1 of 2\na-seed-2: run 2 of 2\n"
        assert run_all(runs) == []
        assert len(dvc.started) == 2

    def test_after_a_failure_the_other_seeds_run(self, monkeypatch, runs):
        dvc = Dvc(monkeypatch, runs, failing=["a-seed-0"])
        failed = run_all(runs)
        assert (failed, len(dvc.started)) == (["a-seed-0"], 3)
        with pytest.raises(InputError) as error:
            require_success(runs, failed)
        assert str(error.value) == (
            "1 of 3 experiments failed: a-seed-0; the reasons are above; run the same command again for these"
        )

    def test_a_run_that_another_process_did_meanwhile_did_not_fail(self, monkeypatch, runs):
        dvc = Dvc(monkeypatch, runs, failing=["a-seed-0"])
        wait = dvc.wait
        monkeypatch.setattr(dvc, "wait", lambda: dvc.made.append(experiment("a-seed-0")) or wait())
        assert run_all(runs[:1]) == []

    def test_ctrl_c_waits_for_dvc_and_runs_no_further_seed(self, monkeypatch, runs):
        dvc = Dvc(monkeypatch, runs, stopped="a-seed-1")
        with pytest.raises(Interrupted, match="a-seed-1 was stopped; the same command resumes it") as stopped:
            run_all(runs)
        assert (stopped.value.code, dvc.waited, len(dvc.started)) == (130, 2, 2)

    def test_a_params_yaml_that_changes_between_seeds_is_an_error(self, monkeypatch, runs):
        dvc = Dvc(monkeypatch, runs)
        wait = dvc.wait
        monkeypatch.setattr(dvc, "wait", lambda: dvc.params.update(lr=0.5) or wait())
        with pytest.raises(
            InputError, match=r"params\.yaml: changed since the first run; restore it, and run the same"
        ):
            run_all(runs)
        assert len(dvc.started) == 1

    def test_without_dvc_is_an_error(self, monkeypatch, runs):
        Dvc(monkeypatch, runs)
        monkeypatch.setattr(planned_runs.shutil, "which", lambda name: None)
        with pytest.raises(InputError, match=r"dvc: not available; source \.venv/bin/activate first"):
            run_all(runs)
