"""`dvc exp` in a clone: a model added, another order of growing; the rest is walked through in test_docs.py."""

import json


def test_a_fourth_model_with_no_file_edited(project):
    layers = "conv3-128 maxpool conv3-256*2 maxpool conv3-512*8 maxpool fc-1024*2"
    ran = project.ran(
        "dvc exp run --temp -n four -S", f"+models.IV={{after: III, layers: {layers}, epochs: 2}}", "-S", "depth=IV"
    )
    assert ran == ["check", "transfer@IV", "train@IV", "evaluate@IV", "saliency", "report"]
    project("dvc exp apply four")
    report = json.loads(project.read("transfers/IV.json"))
    assert {row["target"] for row in report["tensors"] if row["start"] == "identity"} == {
        f"conv3_{i}.{tensor}" for i in (7, 8) for tensor in ("weight", "bias")
    }
    final, deepest = (json.loads(project.read(f"metrics/{name}.json")) for name in ("final", "IV"))
    assert final == deepest


def test_a_model_may_grow_from_any_shallower_one(project):
    ran = project.ran("dvc exp run --temp -S models.III.after=I train@III")
    assert ran == ["check", "transfer@III", "train@III"]


def test_going_back_to_earlier_params_trains_nothing(project):
    project("dvc exp run -S models.III.epochs=2 train@III")
    assert "train@III" not in project.ran("dvc exp run -S models.III.epochs=1")


def test_the_code_of_a_queued_experiment_is_that_of_when_it_was_queued(project):
    project.edit("pipeline/report.py", ('"""Stage `report`', 'print("as queued")\n"""Stage `report`'))
    project.edit(
        "src/deepen/report/tables.py",
        ('"""The tables of', 'print("library as queued")\n"""The tables of'),
    )
    assert "library as queued" in project("dvc exp run --temp -S depth=II report")
