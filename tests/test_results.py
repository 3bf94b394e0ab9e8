"""`deepen results`: the experiments that git has below refs/exps, ranked, in a table that fits."""

import csv
import hashlib
import io
import json
import os
import subprocess
from dataclasses import replace

import pytest
import yaml_text
from dvc_project import ROOT
from made_up_ladders import ladder

from deepen.cli import main
from deepen.cli.stages import find_name_faults
from deepen.experiments.differences import find_differences
from deepen.experiments.ranking import format_ranking, rank, summarize_seeds
from deepen.experiments.recorded import find_changes, list_removed_models
from deepen.experiments.store import Experiment, list_experiments, load_workspace, merge_workspace
from deepen.records.record import save_records

PARAMS = yaml_text.load((ROOT / "params.yaml").read_text())
LOCK = """schema: '2.0'
stages:
  train@I:
    cmd: python -m pipeline.train I
    deps:
    - path: src/deepen/models/vgg.py
      hash: md5
      md5: 00
      size: 1
    params:
      params.yaml:
        data: {data}
        models.I:
          after: scratch
          layers: {layers}
          epochs: {epochs}
    outs:
    - path: weights/I.safetensors
      hash: md5
      md5: {weights}
      size: 9
  report:
    cmd: python -m pipeline.report
    deps:
    - path: weights/I.safetensors
      hash: md5
      md5: {read}
      size: 9
    params:
      params.yaml:
        depth: {depth}
    outs:
    - path: metrics/final.json
      md5: ff
"""


def lock(params, **files):
    recorded = {"weights": "aa", "read": "aa"} | files
    model = params["models"]["I"]
    return LOCK.format(**params, **recorded, layers=model["layers"], epochs=model["epochs"])


def with_changes(**changes):
    params = json.loads(json.dumps(PARAMS))
    for path, value in changes.items():
        *parents, last = path.split("__")
        node = params
        for part in parents:
            node = node[part]
        node[last] = value
    return params


class Repository:
    """A git repository in which experiments are made as DVC makes them, without DVC."""

    def __init__(self, path):
        self.path = path
        names = {f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        self.env = {**os.environ, **names, "GIT_COMMITTER_DATE": "2026-01-31T12:00:00", "TZ": "UTC"}
        self("init", "-q")
        self.write(PARAMS, 50.0)
        self.commit("start")

    def __call__(self, *words):
        return subprocess.run(["git", *words], cwd=self.path, env=self.env, check=True, capture_output=True, text=True).stdout.strip()  # fmt: skip

    def write(self, params, top1, loss=1.0, **recorded):
        (self.path / "metrics").mkdir(exist_ok=True)
        (self.path / "params.yaml").write_text(yaml_text.dump(params))
        (self.path / "metrics/final.json").write_text(json.dumps({"top1": top1, "loss": loss}))
        (self.path / "dvc.lock").write_text(lock(params, **recorded))

    def commit(self, message):
        self("add", "-A")
        self("commit", "-qm", message)

    def experiment(self, name, params, top1, loss=1.0, **recorded):
        head = self("rev-parse", "HEAD")
        self.write(params, top1, loss, **recorded)
        self.commit(name)
        self("update-ref", f"refs/exps/{head[:2]}/{head[2:]}/{name}", "HEAD")
        self("reset", "-q", "--hard", head)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("COLUMNS", "80")
    return Repository(tmp_path)


def results(capsys, *words):
    main(["results", *words])
    return capsys.readouterr().out


def test_a_row_an_experiment_best_first_with_the_settings_that_differ(repository, capsys):
    repository.experiment("low", with_changes(lr=0.01), 61.25)
    repository.experiment("high", with_changes(lr=0.1, progress="quiet"), 61.25, loss=0.5)
    said = results(capsys)
    assert said.startswith("No evaluated model in this run yet: run dvc repro.\n\nExperiments, best first (top-1")
    assert [line.split() for line in said.splitlines()[4:9]] == [
        ["top-1", "loss", "experiment", "lr", "date"],
        ["-------", "------", "------------", "----", "----------------"],
        ["61.25", "0.500", "high", "0.1", "2026-01-31", "12:00"],
        ["61.25", "1.000", "low", "0.01", "2026-01-31", "12:00"],
        ["50.00", "1.000", "workspace", "auto"],
    ]


def test_a_project_without_experiments_has_no_table_of_them(repository, capsys):
    assert results(capsys) == "No evaluated model in this run yet: run dvc repro.\n\n"


def test_experiments_of_other_commits_are_counted_and_shown_if_asked_for(repository, capsys):
    repository.experiment("old", with_changes(lr=0.01), 61.25)
    repository("commit", "-q", "--allow-empty", "-m", "next")
    assert "\n1 more started from other commits: deepen results --all\n" in f"\n{results(capsys)}"
    said = results(capsys, "--all")
    assert "old" in said
    assert "other commits" not in said


def test_numbers_that_are_of_other_settings_are_not_shown(repository, capsys):
    """DVC leaves the metrics of before in an experiment that ends before its report."""
    repository.experiment("no-report", with_changes(models__I__epochs=9), 50.0, weights="bb")
    repository.experiment("unread", with_changes(), 99.0, read="cc")
    (repository.path / "params.yaml").write_text(yaml_text.dump(with_changes(depth="II")))
    said = results(capsys)
    assert said.count("      -  ") == 3
    assert "no-report, unread have no top-1 yet: weights/I.safetensors changed after the run\n" in said
    assert "workspace has no top-1 yet: depth changed after the run\n" in said


def test_models_that_are_of_another_run_than_dvc_lock_are_told(repository, capsys):
    """As after git checkout without dvc checkout."""
    (repository.path / "records").mkdir()
    save_records(repository.path / "records/III.json", ladder()[0])
    assert "Note: the model files belong to another run than dvc.lock, so" in results(capsys)
    found = hashlib.md5((repository.path / "records/III.json").read_bytes()).hexdigest()
    text = lock(PARAMS) + f"    - path: records/III.json\n      md5: {found}\n"
    (repository.path / "dvc.lock").write_text(text)
    assert "Note:" not in results(capsys)


def test_settings_that_changed_since_the_run_are_found():
    assert find_changes(lock(PARAMS), PARAMS) == []
    assert find_changes(lock(PARAMS), with_changes(models__I__epochs=99, models__II__epochs=99)) == ["models.I.epochs"]
    assert find_changes(lock(PARAMS), with_changes(models__I__norm="batch")) == ["models.I.norm"]
    assert find_changes(lock(PARAMS), {}) == ["depth", "data", "models.I"]
    assert find_changes(lock(PARAMS).replace("after: scratch", "after: ["), PARAMS) == ["dvc.lock"]
    assert find_changes("", PARAMS) is None


def test_a_model_that_params_yaml_no_longer_has_is_named_once_and_as_removed():
    text = lock(PARAMS).replace("        depth: III\n", "        depth: III\n        models.I.after: scratch\n")
    other = {**PARAMS, "models": {"II": PARAMS["models"]["II"]}}
    assert find_changes(text, other) == ["models.I"]
    assert list_removed_models(["lr", "models.I", "models.II", "models.II.norm"], other) == ["I"]


def test_records_of_dvc_s_experiments_are_read(built):
    params = yaml_text.load(built.read("params.yaml"))
    assert find_changes(built.read("dvc.lock"), params) == []
    assert find_changes(built.read("dvc.lock"), {**params, "lr": 0.5, "progress": "quiet", "tracking": "mlflow"}) == [
        "lr"
    ]
    assert load_workspace(built.path).metrics == json.loads(built.read("metrics/III.json"))
    assert list_experiments(built.path) == ([], 0)


def test_maps_that_were_asked_for_after_the_run_leave_its_metrics_as_they_are(project):
    project.edit("params.yaml", ("saliency: 0 ", "saliency: 8 "))
    assert load_workspace(project.path).metrics == json.loads(project.read("metrics/III.json"))
    assert load_workspace(project.path).why == ""


def test_results_are_printed_as_csv_and_json(repository, capsys):
    repository.experiment("low", with_changes(lr=0.01), 61.25)
    low, here = json.loads(results(capsys, "--json"))
    assert low == {"experiment": "low", "date": "2026-01-31 12:00", "model": "III", "metrics": {"top1": 61.25, "loss": 1.0}, "settings": {"lr": "0.01"}}  # fmt: skip
    assert (here["experiment"], here["date"], here["settings"]) == ("workspace", None, {"lr": "auto"})
    low, _ = csv.DictReader(io.StringIO(results(capsys, "--csv")))
    assert low == {"experiment": "low", "date": "2026-01-31 12:00", "top1": "61.25", "loss": "1.0", "lr": "0.01"}


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda path: (path / "params.yaml").unlink(), r"^error: this folder: not a Deepen project, params\.yaml is missing; run the command in a project's folder"),
        (lambda path: (path / "metrics/final.json").write_text("[]"), "metrics/final.json of workspace: invalid metrics; run dvc repro"),
        (lambda path: (path / ".git/HEAD").write_text("x"), r"^error: \.: git rev-parse failed \(.*; run in a git repository with a commit"),
    ],
)  # fmt: skip
def test_each_wrong_word_of_results_is_an_error(repository, spoil, error):
    spoil(repository.path)
    with pytest.raises(SystemExit, match=error):
        main(["results"])


def test_results_without_git_are_an_error(repository, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit, match="git: not available; install it"):
        main(["results"])


def test_the_name_of_an_experiment_is_not_given_twice(repository):
    repository.experiment("low", with_changes(lr=0.01), 61.25)
    told = "low: experiment already exists; choose another name, or run dvc exp remove low"
    assert list(find_name_faults(["--temp", "-n", "low"], repository.path)) == [told]
    assert list(find_name_faults(["--name=low"], repository.path)) == [told]
    for words in (["-n", "high"], ["-n", "low", "--force"], ["-n", "low", "--queue"], []):
        assert list(find_name_faults(words, repository.path)) == []


def runs(*changes):
    return [
        Experiment(f"rate-{i}", "2026-01-31 12:00", with_changes(**change), {"top1": 50.0 + i, "loss": 1.0})
        for i, change in enumerate(changes)
    ]


class TestDifferences:
    def test_only_differences_of_settings_in_use_are_shown(self):
        one = with_changes(data="cifar10", datasets__cifar10__flip=False, datasets__folder__flip=False)
        two = with_changes(depth="I", models__III__epochs=99, recipes__published__training__lr=0.5)
        assert find_differences([one, two]) == [
            {"data": "cifar10", "depth": "III"},
            {"data": "digits", "depth": "I"},
        ]

    def test_a_setting_of_a_model_is_compared_among_runs_with_that_model(self):
        rows = find_differences([with_changes(models__III__norm="batch"), with_changes(), with_changes(depth="II")])
        assert rows == [
            {"depth": "III", "models.III.norm": "batch"},
            {"depth": "III", "models.III.norm": "default"},
            {"depth": "II"},
        ]


class TestRanking:
    def test_settings_that_are_too_many_for_columns_share_one(self):
        long = "conv3-128 maxpool conv3-256*2 maxpool conv3-512*2 maxpool fc-1024*2"
        ranked = rank(runs({"models__III__layers": long, "lr": 0.5}, {"width": 0.123}))
        for width in (80, 100):
            table = format_ranking(ranked, width)
            assert max(map(len, table.splitlines())) <= width
            assert "date" not in table
            flat = " ".join(table.split())
            assert f"models.III.layers {long}" in flat
            assert flat.startswith("top-1 loss experiment and its settings")
        assert "models.III.layers" in format_ranking(ranked, 250).splitlines()[0]

    def test_a_long_name_is_never_cut(self):
        (one,) = runs({})
        name = "an-experiment-with-a-name-" * 4
        ranked = rank([Experiment(name, one.date, one.settings, one.metrics)])
        assert name in format_ranking(ranked, 80)

    def test_runs_that_differ_in_their_seed_are_grouped(self):
        ranked = rank(runs({"seed": 1}, {"seed": 2}, {"seed": 2, "lr": 0.5}, {"seed": 3}, {"seed": 2}))
        assert summarize_seeds(ranked) == [
            "3 seeds, lr auto: top-1 52.33 on average (95 % interval over seeds 47.16 to 57.50), lowest 50.00, highest 54.00 (rate-4, rate-3, rate-0)"
        ]

    def test_runs_of_other_images_or_code_are_not_grouped(self):
        one, two, three = runs({"seed": 1}, {"seed": 2}, {"seed": 3})
        ranked = rank([one, replace(two, images="new"), replace(three, images="new")])
        assert [settings["images"] for _, settings in ranked] == ["version 2", "version 2", "version 1"]
        assert [text[:31] for text in summarize_seeds(ranked)] == [
            "2 seeds, images version 2: top-",
            "Note: an interval over two seed",
        ]
        assert summarize_seeds(rank([one, replace(two, code="x"), replace(three, code="y")])) == []

    def test_the_model_that_depth_names_is_a_column_and_no_setting(self):
        ranked = rank(runs({"lr": 0.1}, {"lr": 0.1, "depth": "I"}))
        assert [settings for _, settings in ranked] == [{"model": "I"}, {"model": "III"}]
        assert format_ranking(ranked, 80).splitlines()[0].split()[2:] == ["experiment", "model", "date"]
        grouped = summarize_seeds(rank(runs({"seed": 1}, {"seed": 2}, {"seed": 1, "depth": "I"})))
        assert grouped[0].startswith("2 seeds, model III: top-1 50.50")

    def test_runs_of_one_seed_are_not_grouped(self):
        assert summarize_seeds(rank(runs({"lr": 0.1}, {"lr": 0.2}))) == []

    def test_numbers_with_their_intervals_and_balanced_where_classes_are_unequal(self):
        one, two = runs({"lr": 0.1}, {"lr": 0.2})
        equal, unequal = ({"top1": 90.0, "balanced_top1": value, "loss": 1.0} for value in (90.2, 71.5))
        lines = format_ranking(rank([replace(one, test_images=100, metrics=equal), two]), 80).splitlines()
        assert lines[0].split()[:5] == ["top-1", "95", "%", "interval", "loss"]
        assert lines[2].split()[:5] == ["90.00", "82.56", "to", "94.48", "1.000"]
        assert lines[3].split()[:3] == ["51.00", "-", "1.000"]
        lines = format_ranking(rank([replace(one, test_images=100, metrics=unequal), two]), 80).splitlines()
        assert lines[0].split()[:6] == ["top-1", "95", "%", "interval", "balanced", "loss"]
        assert lines[2].split()[4:6] == ["71.50", "1.000"]
        assert max(map(len, lines)) <= 80

    def test_settings_wrap_in_80_columns_beside_intervals(self):
        found = runs({"models__III__layers": "conv3-128 maxpool " * 4, "lr": 0.5}, {"width": 0.123})
        metrics = {"top1": 90.0, "balanced_top1": 50.0, "loss": 1.0}
        table = format_ranking(rank([replace(each, test_images=100, metrics=metrics) for each in found]), 80)
        assert max(map(len, table.splitlines())) <= 80
        assert "experiment and its settings" in table


def test_the_run_that_was_applied_here_is_one_row(repository, capsys):
    repository.experiment("low", with_changes(lr=0.01), 61.25)
    repository.experiment("high", with_changes(lr=0.1), 71.25)
    repository.write(with_changes(lr=0.01), 61.25)
    said = results(capsys)
    assert [line.split()[2:4] for line in said.splitlines()[6:8]] == [["high", "0.1"], ["low", "(workspace)"]]
    assert "workspace" not in said.replace("(workspace)", "")
    high, low = json.loads(results(capsys, "--json"))
    assert (low["experiment"], low["workspace"], "workspace" in high) == ("low", True, False)
    repository.write(with_changes(lr=0.01), 61.5)
    assert [line.split()[2] for line in results(capsys).splitlines()[6:9]] == ["high", "workspace", "low"]


def test_without_a_run_here_only_experiments_are_listed():
    found = runs({"lr": 0.1})
    assert merge_workspace(None, found) == found


def test_the_number_of_test_images_gives_the_interval(built):
    here = load_workspace(built.path)
    assert here.test_images == 898
    low, high = here.interval
    assert low < here.metrics["top1"] < high


def test_a_depth_that_is_no_model_is_told(repository, capsys):
    repository.write(with_changes(depth="IX"), 50.0)
    assert results(capsys) == "params.yaml: depth: unknown model IX; use one of I, II, III.\n\n"
