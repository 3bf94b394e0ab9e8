"""`dvc exp` in a clone: depths compared, a model added, a grid on the queue."""

import csv
import json

import pytest


def test_depths_compare_without_training(project):
    for depth in ("I", "II", "III"):
        assert "train@" not in "".join(project.ran(f"dvc exp run --temp -n depth-{depth} -S depth={depth} report"))
    difference = json.loads(project("dvc metrics diff depth-I depth-III --targets metrics/final.json --json"))
    assert list(difference) == ["metrics/final.json"]
    shallow, deep = (json.loads(project.read(f"metrics/{model}.json")) for model in ("I", "III"))
    assert difference["metrics/final.json"]["loss"]["diff"] == pytest.approx(deep["loss"] - shallow["loss"])
    assert project("git status --short") == ""


def test_a_fourth_model_with_no_file_edited(project):
    layers = "conv3-128 maxpool conv3-256*2 maxpool conv3-512*8 maxpool fc-1024*2"
    ran = project.ran(
        "dvc exp run --temp -n four -S", f"+models.IV={{after: III, layers: {layers}, epochs: 2}}", "-S", "depth=IV"
    )
    assert ran == ["check", "transfer@IV", "train@IV", "evaluate@IV", "report"]
    four = next(
        line
        for line in project("git for-each-ref --format=%(refname) refs/exps").splitlines()
        if line.endswith("/four")
    )
    report = json.loads(project(f"git show {four}:metrics/transfer/IV.json"))
    assert {row["target"] for row in report["tensors"] if row["start"] == "identity"} == {
        f"conv3_{i}.{tensor}" for i in (7, 8) for tensor in ("weight", "bias")
    }
    final, deepest = (json.loads(project(f"git show {four}:metrics/{name}.json")) for name in ("final", "IV"))
    assert final == deepest


def test_a_model_may_grow_from_any_shallower_one(project):
    ran = project.ran("dvc exp run --temp -S models.III.after=I")
    assert ran == ["check", "transfer@III", "train@III", "evaluate@III", "report"]


def test_going_back_to_earlier_params_trains_nothing(project):
    project("dvc exp run -S models.III.epochs=2")
    assert "train@III" not in project.ran("dvc exp run -S models.III.epochs=1")


def test_a_grid_on_the_queue_and_a_table_to_read(project):
    project("dvc exp run --queue -S", "lr=0.01,0.02")
    project("dvc queue start")
    for name in [line.split()[1] for line in project("dvc queue status").splitlines()[1:3]]:
        project("dvc queue logs --follow", name)
    columns = "Created|State|Executor|params.yaml|.*/(?!final.json:(top1|loss)).*"
    table = project("dvc exp show --csv --only-changed --drop", columns)
    rows = list(csv.DictReader(table.splitlines()))
    assert list(rows[0])[3:] == ["metrics/final.json:top1", "metrics/final.json:loss", "lr"]
    assert {row["lr"] for row in rows} == {"auto", "0.01", "0.02"}
    assert len({row["metrics/final.json:loss"] for row in rows}) == 3


def test_the_code_of_a_queued_experiment_is_that_of_when_it_was_queued(project):
    project.edit("pipeline/report.py", ('"""The ladder up to', 'print("as queued")\n"""The ladder up to'))
    project.edit(
        "src/deepen/tables.py", ('"""The tables of a ladder', 'print("library as queued")\n"""The tables of a ladder')
    )
    assert "library as queued" in project("dvc exp run --temp -S depth=II report")
