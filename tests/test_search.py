"""A search proposes trials that depend on its seed and earlier results alone; each trial is an experiment of DVC."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from dvc_project import ROOT
from test_settings import GOOD

from deepen.cli import main
from deepen.cli.search import _describe_applied
from deepen.core.errors import InputError, Interrupted
from deepen.core.yaml_reading import parse_yaml
from deepen.experiments.changes import apply_changes
from deepen.search import loop
from deepen.search.checks import check_space
from deepen.search.loop import lock_search
from deepen.search.optuna_study import Search, Trial, find_best, rank_trials
from deepen.search.space import parse_space
from deepen.search.table import format_search
from deepen.search.trainings import Trainings
from deepen.search.trials import Result

optuna = pytest.importorskip("optuna", reason="needs the extra search")
SPACE = parse_space(GOOD, ["lr=0.003..0.1", "models.I.epochs=3..12", "growth=identity,copy"])


def measure(values):
    """A made-up accuracy, highest at lr 0.02 and 8 epochs."""
    return 90 - abs(values["lr"] - 0.02) * 500 - abs(values["models.I.epochs"] - 8)


def go(folder, trials, *, fails=(), seed=0, space=SPACE):
    """Run trials with made-up results; return all."""
    search = Search(folder)
    while len(done := [each for each in search.list_trials(space) if each.has_ended]) < trials:
        trial = search.propose(space, seed)
        result = Result(measure({"lr": 0.01, "models.I.epochs": 3, **trial.values}), 1.0, 100, "md5")
        failed = trial.number in fails
        search.store(trial, space, None if failed else result, "diverged" if failed else "")
    return done


@pytest.mark.slow
def test_an_interrupted_search_proposes_what_an_undisturbed_one_does(tmp_path):
    undisturbed = go(tmp_path / "a", 16, fails=(2, 5))
    for trials in range(1, 16, 3):
        go(tmp_path / "b", trials, fails=(2, 5))
        Search(tmp_path / "b").propose(SPACE, 0)  # and is killed before its result
    assert go(tmp_path / "b", 16, fails=(2, 5)) == undisturbed
    assert go(tmp_path / "c", 16, seed=1) != undisturbed
    assert len({json.dumps(dict(each.values)) for each in undisturbed}) == 16


@pytest.mark.slow
def test_a_search_learns_from_its_results(tmp_path):
    trials = go(tmp_path, 40)
    first, last = ([each.result.top1 for each in part] for part in (trials[:10], trials[-10:]))
    assert sum(last) / 10 > sum(first) / 10 + 2


@pytest.mark.slow
def test_a_proposal_of_which_a_part_was_stored_is_dropped(tmp_path):
    undisturbed = go(tmp_path / "a", 3)
    go(tmp_path / "b", 2)
    study = Search(tmp_path / "b")._study
    study.ask({"lr": optuna.distributions.FloatDistribution(0.003, 0.1, log=True)})  # the others are missing
    assert go(tmp_path / "b", 3) == undisturbed


@pytest.mark.slow
def test_a_finite_search_tries_each_combination_once(tmp_path):
    space = parse_space(GOOD, ["models.I.epochs=3..5", "growth=identity,copy"])
    trials = go(tmp_path, int(space.size), space=space)
    assert len({json.dumps(dict(each.values)) for each in trials}) == space.size == 6
    assert [each.number for each in trials] == [1, 2, 3, 4, 5, 6]


@pytest.mark.slow
def test_equal_accuracies_are_ranked_by_loss_then_by_order(tmp_path):
    search = Search(tmp_path)
    for loss in (1.0, 0.5, 0.5):
        search.store(search.propose(SPACE, 0), SPACE, Result(80.0, loss, 100, "md5"))
    search.store(search.propose(SPACE, 0), SPACE, None, "diverged")
    trials = search.list_trials(SPACE)
    assert [each.number for each in rank_trials(trials)] == [2, 3, 1]
    assert find_best(trials).number == 2
    assert find_best(trials[3:]) is None


@pytest.mark.slow
def test_the_table_says_what_may_be_concluded(tmp_path):
    search = Search(tmp_path)
    for top1 in (70.0, 90.0, 88.0):
        search.store(search.propose(SPACE, 0), SPACE, Result(top1, 0.5, 90, "md5"))
    search.store(search.propose(SPACE, 0), SPACE, None, "exit code 1, see 4.log")
    text = format_search("a", search.list_trials(SPACE))
    assert text.splitlines()[0].split() == ["trial", "lr", "epochs", "growth", "validation", "top-1", "95", "%", "interval", "loss"]  # fmt: skip
    assert [line.split()[0] for line in text.splitlines()[1:4]] == ["a-2", "a-3", "a-1"]
    assert "90.00   82.08 to 94.65   0.500" in re.sub(" {3,}", "   ", text)
    flat = " ".join(text.split())
    assert "Best in validation: a-2, 90.00 % of 90 images; lr " in flat
    assert "1 other trial is within its interval: their order may be chance." in flat
    assert "No trial saw a test image." in flat
    assert re.search(r"a-4, lr [\d.]+, epochs \d+, growth \w+: exit code 1, see 4.log", flat)
    assert format_search("a", []) == "No trial has a result yet."


def test_without_optuna_there_is_one_error(tmp_path, monkeypatch):
    monkeypatch.setattr("deepen.core.packages.find_spec", lambda name: None)
    with pytest.raises(InputError) as error:
        Search(tmp_path)
    assert str(error.value) == (
        "a search needs the Python package optuna, which is not installed; in Deepen's folder, run "
        "python -m pip install --editable '.[search]'"
    )


@pytest.mark.parametrize("damage", ["text", "half"])
def test_a_damaged_file_is_one_error(tmp_path, damage):
    go(tmp_path, 1)
    path = tmp_path / "study.db"
    path.write_bytes(b"no database" * 100 if damage == "text" else path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"study\.db: is damaged, or of another version of Optuna; remove it"):
        go(tmp_path, 1)


def test_a_second_process_is_refused(tmp_path):
    with lock_search(tmp_path / "a"), pytest.raises(InputError) as error, lock_search(tmp_path / "a"):
        pass
    assert re.fullmatch(
        r"a: process \d+ on .*, since .*, runs this search already; wait until it ends", str(error.value)
    )


class TestRunning:
    """The loop over trials, with made-up results."""

    @pytest.fixture
    def run(self, tmp_path, monkeypatch):
        def start(*results, trials=None):
            left = iter(results)

            def take(*arguments):
                if isinstance(result := next(left), BaseException):
                    raise result
                return (None, result) if isinstance(result, str) else (result, "")

            monkeypatch.setattr(loop, "_run", take)
            return loop.run_search("a", Search(tmp_path), Trainings(GOOD, SPACE, None), trials or len(results))

        return start

    good, other = Result(80.0, 1.0, 100, "md5"), Result(80.0, 1.0, 100, "of other images")

    def test_a_trial_that_fails_does_not_end_a_search(self, run, capsys):
        assert [each.why for each in run(self.good, "diverged", "diverged", "diverged")] == ["", *["diverged"] * 3]
        assert re.search(r"a-2: lr .*: failed, diverged; best: a-1; 2 of 4 done, about ", capsys.readouterr().out)

    def test_a_reason_is_told_once(self, run, capsys):
        reasons = [f"exit code 1, error: no luck; see searches/a/{number}.log" for number in (1, 2, 4)]
        ended = run(*reasons[:2], self.good, reasons[2], "exit code 1, see searches/a/5.log", "diverged", "diverged")
        told = [
            f": {reasons[0]}",
            ": the same error as a-1; see searches/a/2.log",
            ": the same error as a-1; see searches/a/4.log",
            ": exit code 1, see searches/a/5.log",
            ": diverged",
            ": the same error as a-6",
        ]
        lines = [line for line in capsys.readouterr().out.splitlines() if "failed, " in line]
        assert [line.partition("failed")[0][:4] for line in lines] == ["a-1:", "a-2:", "a-4:", "a-5:", "a-6:", "a-7:"]
        assert all(f"failed, {end[2:]}; " in line for line, end in zip(lines, told, strict=True))
        table = " ".join(format_search("a", ended).split())
        assert all(end in table for end in told)
        assert table.count("no luck") == 1

    def test_trials_that_fail_from_the_start_end_it(self, run):
        with pytest.raises(
            InputError, match="a: no trial of 3 succeeded, for the reasons above; correct the cause, then remove "
        ):
            run("a", "b", "c", self.good)

    def test_other_validation_images_are_one_error(self, run):
        with pytest.raises(InputError, match="a: the validation images have changed since its first trial"):
            run(self.good, self.other)

    def test_ctrl_c_says_how_to_continue(self, run):
        with pytest.raises(Interrupted) as error:
            run(self.good, KeyboardInterrupt(), self.good)
        assert str(error.value) == "a: stopped after 1 of 3 trials; the same command continues"
        assert len(run(self.good, self.good, trials=3)) == 3

    def test_settings_that_do_not_go_together_fail_with_their_fault(self, monkeypatch):
        """A search may vary settings of which some values exclude each other."""
        monkeypatch.setattr(loop, "read_result", lambda *arguments: None)
        monkeypatch.setattr(loop, "run_trial", None)  # is not called
        optimizer = "recipes.published.training.optimizer"
        changes = ["recipe=published", f"{optimizer}.nesterov=false,true", f"{optimizer}.momentum=0.9,0.0"]
        space = parse_space(GOOD, changes)
        trainings = check_space(GOOD, space, None)
        trial = Trial(1, {f"{optimizer}.nesterov": "true", f"{optimizer}.momentum": "0.0"})
        result, why = loop._run("a", trial, trainings)
        assert result is None
        assert "nesterov: needs momentum above 0" in why


@pytest.mark.parametrize(
    ("git", "told"),
    [
        (False, "is not in a git repository, and experiments start from a commit; run git init && git add --all"),
        (True, "has no commit, and experiments start from a commit; run git add --all"),
    ],
)
def test_without_a_commit_there_is_one_error(tmp_path, monkeypatch, git, told):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text((ROOT / "params.yaml").read_text())
    if git:
        subprocess.run(["git", "init", "-q"], check=True)
    with pytest.raises(SystemExit) as error:
        main(["search", "--changes", "lr=0.01..0.1"])
    assert str(error.value) == f"error: this folder: {told} && git commit -m Start"


SEARCH = ("deepen search --name a --changes", "depth=I lr=0.01..0.05 models.I.epochs=1..3")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize(
    ("name", "is_refused"),
    [("o.txt", True), ("tracked.txt", True), ("sub/o.txt", True), ("o.log", False), ("../o.txt", False)],
)
def test_output_into_a_file_that_dvc_replaces_is_one_error(tmp_path, stream, name, is_refused):
    folder = tmp_path / "repository/project"
    (folder / "sub").mkdir(parents=True)
    (folder / "tracked.txt").touch()
    (folder.parent / ".gitignore").write_text("*.log\n")
    subprocess.run("git init -q && git add .", shell=True, check=True, cwd=folder.parent)
    path = tmp_path / "o.txt" if name == "../o.txt" else folder / name
    code = "from deepen.cli.redirection import require_kept_output as check\nfrom deepen.core.entry_point import run_program\nrun_program(check)"
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with path.open("w") as file:
        done = subprocess.run([sys.executable, "-c", code], cwd=folder, text=True, **streams | {stream: file})
    assert done.returncode == is_refused
    told = (done.stderr or "") + path.read_text()
    start = f"error: {path.name}: --apply can't print into this file: dvc exp apply replaces files of the project, and"
    assert told.startswith(start) if is_refused else not told


def test_each_applied_setting_is_told_and_the_model_that_depth_names():
    def describe(*changes):
        return _describe_applied(GOOD, apply_changes(GOOD, changes))

    assert describe("lr=0.02", "models.I.epochs=3", "depth=I", "+models.III.frozen=[conv1_1]") == (
        "Wrote into params.yaml: depth: I (was III), lr: 0.02 (was auto), models.I.epochs: 3 (was auto), "
        "models.III.frozen: [conv1_1] (new); metrics/final.json will describe I, the model that depth names."
    )
    assert describe() == (
        "params.yaml had its settings already; metrics/final.json will describe III, the model that depth names."
    )


@pytest.mark.slow
class TestCommand:
    def test_trials_are_experiments_that_are_run_once_and_never_test(self, project):
        project.env["INSTALLED"] = ""
        said = project("make -s search TRIALS=2 NAME=a", f"SET={SEARCH[1]}")
        assert "lr: numbers from 0.01 to 0.05, linear scale" in said
        assert re.search(r"a-1: lr [\d.]+, epochs \d: validation top-1 [\d.]+ %; 1 of 2 done, about", said)
        assert re.search(r"a-2: lr .*; best: a-\d; 2 of 2 done\n", said)
        assert set(project("dvc exp list --name-only").split()) == {"a-1", "a-2"}
        logs = [project.read(f"searches/a/{number}.log") for number in (1, 2)]
        assert all("pipeline.train I" in log and "evaluate" not in log and "train II" not in log for log in logs)
        assert project("git status --short") == ""
        assert "have no top-1 yet: trained, but not tested" in project("deepen results")

        for path in (project.path / "searches/a").iterdir():  # what DVC has counts
            path.unlink()
        again = project(*SEARCH, "--trials", "2")
        assert table(again) == table(said)
        assert not (project.path / "searches/a/1.log").exists()
        assert table(project("deepen search --name a")) == table(said)

        more = project(*SEARCH, "--trials", "3", "--apply")
        assert len(table(more)) == 5
        best = table(more)[1].split()
        assert f"Applied {best[0]}. Wrote into params.yaml: " in more
        assert "metrics/final.json will describe I, the model that depth names." in more
        settings = parse_yaml(project.read("params.yaml"), "params.yaml")
        assert f"{settings['lr']:g}" == best[1]
        assert str(settings["models"]["I"]["epochs"]) == best[2]
        assert "train@I" not in (ran := project.ran("dvc repro report"))
        assert "evaluate@I" in ran
        assert "a-1" in project(*SEARCH, "--trials", "3")  # the applied settings are those that it varies

    def test_another_search_of_the_name_changed_images_and_nothing_to_apply_are_errors(self, project):
        project(*SEARCH, "--trials", "1")
        said = project("deepen search --name a --changes", "lr=0.01..0.02", ok=False)
        assert "error: a: this search has other ranges or values" in said
        project.edit("pipeline/train.py", ('"""Stage `train`', '"""The stage `train`'))
        said = project("deepen search --name a --apply", ok=False)
        assert "error: a: this search started from other code; write the settings of its best trial into" in said
        assert "unknown search" in project("deepen search --name b", ok=False)
        assert "error: --changes: missing; write for example" in project("deepen search", ok=False)
        said = project("deepen search --trials 0 --changes lr=0.01..0.02", ok=False)
        assert "error: trials: must be at least 1, got 0; ask for example for 20" in said

    def test_trials_that_fail_end_the_search_with_their_error(self, project):
        project.edit(
            "pipeline/train.py", ("    settings = load_settings()\n", '    raise SystemExit("error: no luck")\n')
        )
        said = project(*SEARCH, "--trials", "2", ok=False)
        assert re.search(r"a-1: .*: failed, exit code \d+, error: no luck; see searches/a/1.log; 1 of 2 done", said)
        assert re.search(
            r"error: a: no trial of 2 succeeded, for the reasons above; .* remove searches/a to start over", said
        )

    @pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.long), signal.SIGKILL])
    def test_a_search_that_is_stopped_continues(self, project, number):
        project.edit("params.yaml", ("checkpoint_seconds: 60", "checkpoint_seconds: 0"))
        project("git commit -qam checkpoints")
        command = ("deepen search --name a --trials 2 --changes", "depth=I lr=0.01..0.05 models.I.epochs=40")
        process = project.start(*command)
        end = time.monotonic() + 90
        while not list((project.path / "checkpoints").glob("I-*/*.safetensors")) and time.monotonic() < end:
            time.sleep(0.1)
        os.kill(process.pid, number)
        assert process.wait(60) == (130 if number == signal.SIGINT else -number)
        with sqlite3.connect(project.path / "searches/a/study.db") as database:
            assert database.execute("select count(*) from trials").fetchall() == [(1,)]
        said = project(*command)
        assert [line.split()[0] for line in sorted(table(said)[1:3])] == ["a-1", "a-2"]
        assert re.search("resuming after|is already training this|experiment", project.read("searches/a/1.log"))


def table(said):
    """The lines of the table of trials."""
    lines = said.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("trial "))
    return lines[start : next(i for i in range(start, len(lines)) if not lines[i]) + 1]
