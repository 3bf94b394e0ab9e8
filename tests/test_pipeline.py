"""`dvc repro` in a clone: what runs, what does not, and what is told when something is wrong."""

import json
import re
import sys

import pytest
import torch
from conftest import photos, picture, write_tree
from dvc_project import EVALUATIONS, LADDER, Project
from safetensors.torch import load_file

from deepen.models.networks import load_network
from deepen.records.record import load_records


def test_the_whole_chain_runs_once_and_then_nothing_does(built):
    assert built.first == ["prepare", "statistics", "check", *LADDER, *EVALUATIONS, "saliency", "report"]
    assert built.ran("dvc repro") == []
    assert built.is_up_to_date()
    assert built("git status --short") == ""


def test_another_clone_gives_the_same_bytes_and_a_clean_git_status(built, tmp_path):
    """Here each command is the real one, and `built` came from the fork server."""
    clone = Project(tmp_path / "clone", tmp_path, real=True)
    built("git clone -q .", str(clone.path))
    assert clone.ran("dvc repro --dry --allow-missing") == []
    ran = clone.ran("dvc repro")
    assert {"train@I", "train@II", "train@III"} < set(ran)
    assert clone("git status --short") == ""
    assert clone.files() == built.files()


def test_lock_and_params_that_disagree_are_noticed_without_running(project):
    project.edit("params.yaml", ("seed: 0", "seed: 1"))
    clone = Project(project.path.parent / "clone", project.path.parent)
    project("git commit -qam seed")
    project("git clone -q .", str(clone.path))
    clone("dvc repro --dry --allow-missing", ok=False)


def test_the_metrics_are_the_table(built):
    shown = json.loads(built("dvc metrics show --json"))[""]["data"]
    for model in ("I", "II", "III"):
        row = shown[f"metrics/{model}.json"]["data"]
        assert list(row) == ["top1", "top2", "top3", "top4", "top5", "balanced_top1", "loss"]
        assert 0 <= row["top1"] <= row["top2"] <= row["top5"] <= 100
    assert shown["metrics/final.json"] == shown["metrics/III.json"]
    assert set(shown) == {f"metrics/{name}.json" for name in ("I", "II", "III", "final")}
    asked = json.loads(built("dvc metrics show --json transfers/II.json"))[""]["data"]["transfers/II.json"]["data"]
    assert (asked["copied_tensors"], asked["fresh_tensors"], asked["dropped_tensors"]) == (10, 6, 0)
    assert built.read("reports/table.md").count("\n| I") == 3


WITHOUT_PYTORCH = """
import sys
from pipeline import check, prepare, report, scan, statistics, transfer
for stage in (scan.scan, prepare.prepare, statistics.write_statistics, check.check, report.report):
    stage()
transfer.transfer_to("II")
print(*{"torch", "torchvision"} & sys.modules.keys())
"""


def test_stages_that_need_no_pytorch_do_not_import_it(project):
    project.edit("params.yaml", ("device: auto ", "device: cpu "))
    before = project.files()
    said = project(sys.executable, "-c", WITHOUT_PYTORCH)
    assert said.splitlines()[-2:] == ["II from I: 10 tensors copied, 6 new (identity)", ""]
    assert project.files() == before


@pytest.mark.parametrize("stage", ["transfer", "train", "evaluate"])
def test_a_stage_of_a_model_names_what_is_wrong_with_its_arguments(project, stage):
    command = f"python -m pipeline.{stage}"
    for words, count in (("", "0 arguments"), (" I II", "2 arguments")):
        assert project(command + words, ok=False) == f"error: {command}: got {count}; write {command} NAME\n"
    said = project(f"{command} IX", ok=False)
    assert said.startswith("error: params.yaml: models: unknown model IX; use one of I, II, III")
    assert project("python -m pipeline.check I", ok=False).endswith("got 1 argument; write python -m pipeline.check\n")


def test_a_stage_prints_five_lines_at_most_in_80_columns(built):
    stages = built.said.split("Running stage '")[1:]
    for stage in stages:
        said = stage.replace("Generating lock file 'dvc.lock'\n", "").partition("Updating lock file")[0]
        lines = [line for line in said.splitlines()[2:] if line and not line.startswith("warning: ")]
        assert 1 <= len(lines) <= 5, stage
        assert max(map(len, lines)) <= 80, stage
    assert re.search(r"^I: top-1 \d+\.\d\d % \(\d+\.\d to \d+\.\d\) on 898 test images$", built.said, re.MULTILINE)
    assert "\nreport: reports/index.html\n" in stages[-1]


def test_the_report_writes_pictures_tables_and_live_curves(built, tmp_path):
    pictures = {path.stem for path in (built.path / "reports").glob("*.png")}
    assert pictures == {"curves", "depth", "confusion", "filters", "augmentation"}
    assert built.read("reports/confusion.csv").count("\n") == 1 + 898
    assert built.read("reports/index.html").startswith("<!doctype html>")
    specs = json.loads(built("dvc plots show --json --out", str(tmp_path)))["data"]
    first = ["reports/curves.csv", "reports/topk.csv", "reports/confusion.csv"]
    live = [f"live/{model}/curves.tsv" for model in ("I", "II", "III")]
    assert [name.split("::")[-1] for name in specs if not name.endswith(".png")] == first + live
    merged = [specs[name][0]["content"]["usermeta"]["live"] for name in live]
    assert merged == ["I", "II", "III"]  # by which the page of dvc plots merges them


def test_the_page_of_dvc_plots_takes_vega_from_the_report(built):
    page = built.read(".dvc/plots.html")
    assert page.index('<script src="vega.js">') < page.index("if (!window.vegaEmbed)") < page.index("{plot_divs}")
    assert "window.vegaEmbed=" in built.read("dvc_plots/vega.js")


def test_a_learning_rate_retrains_every_model(project):
    ran = project.ran("dvc exp run -S lr=0.01 train@III")
    assert ran == ["check", "train@I", "transfer@II", "train@II", "transfer@III", "train@III"]


def test_settings_of_the_last_model_train_only_it(project):
    ran = project.ran("dvc exp run -S models.III.epochs=2 -S +models.III.frozen=copied")
    assert ran == ["check", "transfer@III", "train@III", "evaluate@III", "saliency", "report"]
    before, after = (load_file(project.path / f"weights/{model}.safetensors") for model in ("II", "III"))
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert after["conv3_6.bias"].any()  # which began as nothing
    card, network = load_network(project.path / "weights/III.safetensors")
    assert card.frozen is None
    assert all(parameter.requires_grad for parameter in network.parameters())
    *_, record = load_records(project.path / "records/III.json")
    assert {layer.role for layer in record.plan() if layer.frozen} == {key.split(".")[0] for key in before}


def test_depth_trains_nothing(project):
    assert project.ran("dvc exp run -S depth=I") == ["check", "saliency", "report"]
    assert project.read("metrics/final.json") == project.read("metrics/I.json")
    assert project.read("reports/table.md").count("\n| I") == 3


def test_the_recipe_s_evaluation_only_evaluates(project):
    ran = project.ran("dvc exp run -S recipes.onecycle.evaluation.batch_size=100")
    evaluated = [
        stage for stage in ran if stage not in ("saliency", "report")
    ]  # which follow where the last bits of a loss differ
    assert evaluated == ["check", *EVALUATIONS]


def test_changed_code_runs_the_stages_that_import_it(project):
    project.edit("src/deepen/report/charts.py", ('"loss (nats)"', '"the loss (nats)"'))
    assert project.ran("dvc repro") == ["report"]


def test_photos_that_come_and_go_are_noticed_by_dvc_repro_alone(project, tmp_path):
    root = write_tree(tmp_path / "photos", photos(train=6, test=2, size=(8, 8)))
    project.edit("params.yaml", ("data: digits ", "data: folder "), ("root: images", "root: ../photos"))
    assert project.ran("dvc repro statistics") == ["prepare", "statistics"]
    assert project.ran("dvc repro statistics") == []
    before = project.files()["data/train.safetensors"]
    write_tree(root, {"train/cat/new.png": picture(size=(8, 8), value=(1, 2, 3))})
    assert project.ran("dvc repro statistics") == ["prepare", "statistics"]
    with_new = project.files()["data/train.safetensors"]
    assert len(with_new) > len(before)
    project.edit("params.yaml", ("val_fraction: 0.1 ", "val_fraction: 0.3 "))
    project("dvc repro prepare")
    project.edit("params.yaml", ("val_fraction: 0.3 ", "val_fraction: 0.1 "))
    project("dvc repro prepare")  # a setting that was used before brings back the images of today
    assert project.files()["data/train.safetensors"] == with_new
    (root / "train/cat/new.png").touch()
    assert project.ran("dvc repro statistics") == ["prepare"]
    (root / "train/cat/new.png").unlink()
    project("dvc repro statistics")
    assert project.files()["data/train.safetensors"] == before


def test_photos_that_change_while_they_are_read_are_an_error(project, tmp_path):
    root = write_tree(tmp_path / "photos", photos(train=6, test=2, size=(8, 8)))
    project.edit("params.yaml", ("data: digits ", "data: folder "), ("root: images", "root: ../photos"))
    project("dvc repro scan")
    write_tree(root, {"train/cat/new.png": picture(size=(8, 8), value=(1, 2, 3))})
    before = project.files()
    output = project("dvc repro --single-item prepare", ok=False)
    assert "error: changed while it ran: ../photos; run it again" in output
    assert {name for name, content in before.items() if project.files().get(name) != content} <= {
        "data/notes.txt",
        *(f"data/{part}.safetensors" for part in ("train", "validation", "test")),
    }


def test_own_images_are_trained_by_flags_alone(project, tmp_path):
    write_tree(tmp_path / "photos", photos(train=10, test=3, classes=("cat", "dog", "emu"), size=(10, 10)))
    ran = project.ran(
        "dvc exp run -S data=folder -S datasets.folder.root=../photos -S datasets.folder.size=8 evaluate@I"
    )
    assert set(ran) == {"prepare", "statistics", "check", "transfer@I", "train@I", "evaluate@I"}
    metrics = json.loads(project.read("metrics/I.json"))
    assert list(metrics) == [
        "top1",
        "top2",
        "top3",
        *(f"top{k}_single_view" for k in (1, 2, 3)),
        "balanced_top1",
        "loss",
    ]
    assert metrics["top3"] == 100


ONE_OF_A_CLASS = photos(test=0) | {"train/emu/1.png": picture()}
TRUNCATED = photos() | {"train/cat/x.png": picture(size=(50, 50))[:60]}


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        (["+lrr=0.1"], "error: params.yaml: lrr: unknown key; did you mean lr?"),
        (
            ["models.II.after=III", "models.III.after=I"],
            "error: params.yaml: models.II.after: II has 8 weight layers and 'III' 12",
        ),
        (
            ["models.I.layers='maxpool maxpool maxpool maxpool conv3-64'"],
            "error: params.yaml: models.I.layers: layer 4 of",
        ),
        (["device=cuda:99"], "error: device: cuda:99 is not available; available:"),
        (
            ["data=folder", "datasets.folder.root=ONE_OF_A_CLASS"],
            "class 'emu' has 1 image, but 3 are needed to hold one out for test",
        ),
        (["data=folder", "datasets.folder.root=TRUNCATED"], "train/cat/x.png: can't be read as an image"),
    ],
)
def test_an_error_is_one_clear_line_and_earlier_work_stays(project, tmp_path, flags, error):
    for name in ("ONE_OF_A_CLASS", "TRUNCATED"):
        if any(name in flag for flag in flags):
            write_tree(tmp_path / name, globals()[name])
    flags = [flag.replace("root=", f"root={tmp_path}/") for flag in flags]
    before = project.files()
    output = project("dvc exp run", *(word for flag in flags for word in ("-S", flag)), ok=False)
    assert error in output
    assert "Traceback" not in output
    stage = output.split("failed to reproduce '")[1].split("'")[0]
    assert re.findall(r"^Running stage '(.*)':", output, re.MULTILINE)[-1] == stage
    lost = {name for name, content in before.items() if project.files().get(name) != content}
    failed = {
        "scan": "data/source.json",
        "prepare": "data/",
        "check": ("weights/scratch", "records/scratch"),
        "train@I": ("weights/I.", "curves/I.", "live/I/"),
    }
    assert all(name.startswith(failed[stage]) for name in lost), lost


@pytest.mark.parametrize(
    ("flag", "error"),
    [
        ("lrr=0.1", "Key 'lrr' is not in struct"),
        ("models.I.after=III", "defined as both a dependency and an output in stages: "),  # a circle, which DVC names
    ],
)
def test_settings_that_dvc_itself_rejects_change_nothing(project, flag, error):
    before = project.files()
    assert error in project("dvc exp run -S", flag, ok=False)
    assert project.files() == before
