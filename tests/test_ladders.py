"""The files of ladders/: whole params.yaml files, and `deepen ladder`, which runs an experiment with one."""

import json
import os
import re
import shutil

import numpy as np
import pytest
import yaml_text
from conftest import photos, write_tree
from dvc_project import ROOT
from test_ladder_commands import told
from test_layers import PAPER

from deepen.cli import main
from deepen.config.settings import load_settings
from deepen.growth.ladder import build_role_mapping, plan_ladder
from deepen.growth.transfer import find_violations
from deepen.models.layers import count_parameters, list_tensor_shapes
from deepen.models.weights import load_weights

LADDERS = sorted((ROOT / "ladders").glob("*.yaml"))
NARROW = ["-S", "width=0.0625", "-S", "datasets.folder.size=40", "-S", "datasets.folder.view=32", "-S", "threads=1"]


def plans(name):
    settings = load_settings(ROOT / f"ladders/{name}.yaml")
    return settings, plan_ladder(settings, settings.view_shape((3, 256, 256)), 1000)


@pytest.mark.parametrize("name", ["paper", "paper-identity"])
def test_the_paper_s_ladders_have_its_networks_at_224_in_1000_classes(name):
    settings, laid_out = plans(name)
    assert {name: model.layers for name, model in settings.models.items()} == PAPER
    assert all(layers[0].inputs == (3, 224, 224) for layers in laid_out.values())
    counted = {name: count_parameters(layers) for name, layers in laid_out.items()}
    assert counted == {"A": 132_863_336, "B": 133_047_848, "C": 133_638_952, "D": 138_357_544, "E": 143_667_240}


def test_layers_copied_from_a_are_those_of_the_paper():
    settings, laid_out = plans("paper")
    source = list_tensor_shapes(laid_out["A"])
    for name in "BCDE":
        model, target = settings.models[name], list_tensor_shapes(laid_out[name])
        assert model.after == "A"
        mapping = build_role_mapping(model, source, target)
        assert mapping.copied == {role: role for role in ("conv1_1", "conv2_1", "conv3_1", "conv3_2", "fc1", "fc2", "head")}  # fmt: skip
        assert mapping.copied == model.mapping  # all of it is written out, and what is fresh too
        assert set(mapping.fresh) == set(model.fresh) == {key.split(".")[0] for key in target} - mapping.copied.keys()
        assert find_violations(source, target, mapping) == []
        assert settings.peak_lr(name) == settings.peak_lr("A") == 0.01
    assert settings.growth == "random"


def test_paper_identity_copies_every_layer():
    settings, _ = plans("paper-identity")
    assert settings.growth == "identity"
    assert [model.after for model in settings.models.values()] == ["scratch", "A", "B", "B", "D"]
    assert not any(model.mapping or model.fresh or model.dropped for model in settings.models.values())


@pytest.mark.parametrize("path", LADDERS, ids=lambda path: path.stem)
def test_a_ladder_has_every_setting_that_params_yaml_has(path):
    ours, theirs = (yaml_text.load(file.read_text()) for file in (ROOT / "params.yaml", path))
    assert ours.keys() == theirs.keys()


def short(name):
    epochs = [word for model in load_settings(ROOT / f"ladders/{name}.yaml").models for word in ("-S", f"models.{model}.epochs=1")]  # fmt: skip
    return [*NARROW, *epochs]


@pytest.fixture
def pictures(tmp_path):
    return write_tree(tmp_path / "my pictures", photos(train=10, test=3, size=(50, 44)))


def test_an_experiment_with_a_ladder_leaves_params_yaml_alone(project, pictures):
    before = project.read("params.yaml")
    words = ["--temp", "-n", "paper", "-S", f"datasets.folder.root='{pictures}'", *short("paper"), "report"]
    ran = project.ran("deepen ladder paper", *words)
    assert {f"{stage}@{model}" for stage in ("transfer", "train", "evaluate") for model in "AE"} < set(ran)
    assert project.read("params.yaml") == before
    assert project("git status --short") == ""
    assert "Checkout failed" in project("dvc exp apply paper", ok=False)  # of what B to D have not made
    transfers = json.loads(project.read("transfers/E.json"))["tensors"]
    copied = {row["target"] for row in transfers if row["source"] and row["target"]}
    assert {"conv3_2.weight", "head.bias"} < copied
    assert "conv4_1.weight" not in copied
    metrics = json.loads(project.read("metrics/E.json"))
    assert {"top1", "top1_single_view"} < metrics.keys()
    table = project.read("reports/table.md")
    assert "views: dense" in table
    assert all(f"{name} is not trained yet: run dvc repro." in table for name in "BCD")
    asked = "deepen predict weights/E.safetensors --views crops"
    assert "cat" in project(asked, f"{pictures}/test/cat/000.png")


@pytest.mark.long
def test_all_networks_of_the_paper_are_in_the_report(project, pictures):
    words = ["--temp", "-n", "paper", "-S", f"datasets.folder.root='{pictures}'", *short("paper")]
    project("deepen ladder paper", *words)
    project("dvc exp apply paper")
    table = project.read("reports/table.md")
    assert re.findall(r"^\| ([A-E]) +\| (\w+)", table, re.MULTILINE) == [
        ("A", "scratch"),
        *((name, "A") for name in "BCDE"),
    ]
    assert len(re.findall(r"^[B-E] .* A ", table, re.MULTILINE)) == 4
    drawn = re.findall(r"</span><b>(\w)</b>", project.read("reports/index.html"))
    assert drawn == list("ABCDE")
    assert project.read("metrics/final.json") == project.read("metrics/E.json")
    assert project.is_up_to_date()


def test_the_fast_ladder_copies_all_layers_and_adds_one_after_each_of_three_pools():
    settings = load_settings(ROOT / "ladders/fast.yaml")
    laid_out = plan_ladder(settings, (3, 32, 32), 10)
    assert [layer.role for layer in laid_out["II"] if layer.frozen] == ["whiten"]
    shapes = {name: list_tensor_shapes(layers) for name, layers in laid_out.items()}
    mapping = build_role_mapping(settings.models["II"], shapes["I"], shapes["II"])
    assert set(mapping.fresh) == {"conv2_1", "norm2_1", "conv3_1", "norm3_1", "conv4_1", "norm4_1"}
    assert find_violations(shapes["I"], shapes["II"], mapping) == []


def test_the_fast_ladder_whitens_grows_and_averages_shifts(project, pictures):
    words = ["--temp", "-n", "fast", "-S", "data=folder", "-S", f"datasets.folder.root='{pictures}'", *short("fast")]
    ran = project.ran("deepen ladder fast", *words, "report")
    assert {f"{stage}@{model}" for stage in ("transfer", "train", "evaluate") for model in ("I", "II")} < set(ran)
    project("dvc exp apply fast")
    starts = [{row["target"]: row["start"] for row in json.loads(project.read(f"transfers/{model}.json"))["tensors"]} for model in ("I", "II")]  # fmt: skip
    assert starts[0]["whiten.weight"] == "whitening"
    assert starts[1]["whiten.weight"] is None  # copied
    assert starts[1]["conv2_1.weight"] == "identity"
    weights = [load_weights(project.path / f"weights/{name}.safetensors")[1] for name in ("init/I", "I", "II")]
    assert all(np.array_equal(state["whiten.weight"], weights[0]["whiten.weight"]) for state in weights)
    assert not np.array_equal(weights[0]["conv1_1.weight"], weights[1]["conv1_1.weight"])
    assert "views: shifts" in project.read("reports/table.md")
    page = project.read("reports/index.html")
    assert "The filters whiten patches of the training images" in page
    assert "maxpool3" in page
    assert "cat" in project("deepen predict weights/II.safetensors --views shifts", f"{pictures}/test/cat/000.png")
    assert "whiten2-24" in project("deepen models")


def test_a_ladder_can_be_the_project_s_own(project, pictures):
    text = project.read("ladders/paper-identity.yaml")
    for old, new in (
        ("root: images", f"root: {pictures}"),
        ("width: auto", "width: 0.0625"),
        ("size: 256 ", "size: 40 "),
        ("view: 224", "view: 32"),
        ("threads: auto", "threads: 1"),
        ("epochs: auto", "epochs: 1"),
    ):
        assert old in text
        text = text.replace(old, new)
    (project.path / "params.yaml").write_text(text)
    assert project.ran("dvc repro transfer@C")[3:] == ["transfer@A", "train@A", "transfer@B", "train@B", "transfer@C"]
    transfers = json.loads(project.read("transfers/C.json"))["tensors"]
    assert {row["target"] for row in transfers if row["start"] == "identity"} == {
        f"conv{group}_3.{tensor}" for group in (3, 4, 5) for tensor in ("weight", "bias")
    }
    assert project.ran("dvc repro transfer@C") == []


class TestTheCommand:
    @pytest.fixture(autouse=True)
    def _in_a_project(self, tmp_path, monkeypatch):
        (tmp_path / "ladders").mkdir()
        for name in ("params.yaml", "dvc.yaml"):
            shutil.copy(ROOT / name, tmp_path)
        monkeypatch.chdir(tmp_path)
        self.ladder = tmp_path / "ladders/mine.yaml"
        self.ladder.write_text((ROOT / "params.yaml").read_text())
        monkeypatch.setattr(os, "execvp", lambda file, words: self.calls.append((file, words)))
        self.calls = []

    def test_every_setting_is_said_and_options_follow(self):
        main(["ladder", "mine", "--temp", "-S", "lr=0.1"])
        [(file, words)] = self.calls
        assert (file, words[:3], words[-3:]) == ("dvc", ["dvc", "exp", "run"], ["--temp", "--set-param", "lr=0.1"])
        settings = yaml_text.load(self.ladder.read_text())
        said = [word for flag, word in zip(words[3:-3:2], words[4:-3:2], strict=True) if flag == "--set-param"]
        assert [word.partition("=")[0].strip("+") for word in said if word[0] == "+"] == list(settings)
        assert {word[1:] for word in said if word[0] == "~"} == {"datasets", "recipes", "models"}

    def test_a_wrong_ladder_is_an_error_and_nothing_runs(self, monkeypatch):
        assert told("ladder", "other") == (
            "ladders/other.yaml: no such file; use an existing ladder (mine), without .yaml"
        )
        monkeypatch.setenv("PATH", "")
        assert told("ladder", "mine") == "dvc: not available; source .venv/bin/activate first"
        self.ladder.write_text("data: 3")
        assert "mine.yaml: data: must be a string, got 3" in told("ladder", "mine")
        assert self.calls == []

    @pytest.mark.parametrize(
        ("name", "error"),
        [
            ("../params", "../params: must be a name without a folder; use an existing ladder (mine), without .yaml"),
            ("./mine", "./mine: must be a name without a folder; use an existing ladder (mine), without .yaml; did you mean mine?"),
            ("ladders/mine.yaml", "ladders/mine.yaml: must be a name without a folder; use an existing ladder (mine), without .yaml; did you mean mine?"),
            ("mine.yaml", "ladders/mine.yaml.yaml: no such file; use an existing ladder (mine), without .yaml; did you mean mine?"),
            ("nine", "ladders/nine.yaml: no such file; use an existing ladder (mine), without .yaml; did you mean mine?"),
            ("", "'': must be a name without a folder; use an existing ladder (mine), without .yaml"),
        ],
    )  # fmt: skip
    def test_a_ladder_is_a_name_and_not_a_path(self, name, error):
        assert told("ladder", name) == error
        assert self.calls == []

    def test_a_ladder_adds_a_section_that_params_yaml_lacks(self, tmp_path):
        (tmp_path / "params.yaml").write_text("data: digits\nmodels: {}\n")
        main(["ladder", "mine"])
        [(_, words)] = self.calls
        assert [word for word in words if word[0] == "~"] == ["~models"]

    def test_a_ladder_needs_a_project(self, tmp_path):
        (tmp_path / "params.yaml").unlink()
        assert told("ladder", "mine").startswith("this folder: not a Deepen project, params.yaml is missing; run the")
