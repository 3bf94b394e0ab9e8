"""`deepen import`, and models that start from what it wrote."""

import json
import os
import pickle
import re
import shutil
import subprocess
from argparse import Namespace
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
import torchvision
import yaml_text
from dvc_project import ROOT, Project
from safetensors.torch import save_file
from small_nets import random_state, their_state
from tensors import load_weights

from deepen.cli import main
from deepen.cli.import_weights import describe_import
from deepen.config.settings import check_settings
from deepen.convert.torchvision_import import IMAGENET_MEAN, IMAGENET_STD, as_network, recognise
from deepen.convert.torchvision_names import LAYERS, lay_out, to_torchvision
from deepen.core.errors import InputError
from deepen.data.augmentation import normalize
from deepen.growth.ladder import plan_ladder
from deepen.growth.pretrained import content_hash, read_start_shapes
from deepen.models.layers import list_tensor_shapes, plan
from deepen.models.networks import load_network
from deepen.models.vgg import build_network
from deepen.models.weights import ModelCard, save_weights

TEXT = (ROOT / "params.yaml").read_text().replace("width: auto ", "width: 1.0 ", 1)  # as imports need
PARAMS = yaml_text.load(TEXT)


@pytest.fixture
def folder(tmp_path, monkeypatch, small_nets):
    """A project of small networks, to be in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(TEXT)
    return tmp_path


def refused(*words):
    with pytest.raises(SystemExit) as error:
        main(["import", *words])
    assert not Path("imports").exists()
    return str(error.value)


def imported(path):
    """The one file that was imported, moved away."""
    (found,) = Path("imports").iterdir()
    return found.rename(path)


class TestTheCommand:
    @pytest.mark.parametrize("name", LAYERS)
    @pytest.mark.parametrize("kind", ["pth", "old.pth", "safetensors"])
    def test_each_network_is_imported_from_each_form(self, folder, capsys, name, kind):
        state = their_state(name)
        if kind == "safetensors":
            save_file(state, "x.safetensors")
        else:
            torch.save(OrderedDict(state), f"x.{kind}", _use_new_zipfile_serialization=kind == "pth")
        main(["import", f"x.{kind}"])
        start = capsys.readouterr().out.split(":")[0]
        assert re.fullmatch(rf"imports/{name}-[0-9a-f]{{8}}\.safetensors", start)
        assert [path.name for path in Path("imports").iterdir()] == [Path(start).name]
        assert content_hash(Path(start)) in start
        card, net = load_network(Path(start))
        assert card.classes == ("class 0", "class 1", "class 2", "class 3")
        assert (card.mean, card.norm) == (IMAGENET_MEAN, "batch" if name.endswith("bn") else "none")
        assert torch.equal(net.state_dict()["head.bias"], state["classifier.6.bias"])

    def test_import_prints_a_model_that_can_be_trained(self, folder, capsys):
        torch.save(their_state("vgg13_bn", classes=3), "x.pth")
        main(["import", "x.pth"])
        entry = capsys.readouterr().out.split("ladder:\n\n")[1].split("\n\n")[0]
        models = yaml_text.load(entry)
        params = {**PARAMS, "models": models, "depth": "vgg13_bn"}
        settings = check_settings(params)
        starts = read_start_shapes(settings.models, Path())
        plans = plan_ladder(settings, (3, 32, 32), 10, starts)
        assert plans["vgg13_bn"][-1].outputs == (10,)
        models["vgg13_bn"] |= {"fresh": [], "dropped": []}
        assert plan_ladder(check_settings(params), (3, 32, 32), 3, starts)
        with pytest.raises(InputError, match=r"head\.weight has shape \(10, 12\), but head\.weight of the source has"):
            plan_ladder(check_settings(params), (3, 32, 32), 10, starts)

    def test_import_adds_the_entry_that_it_prints(self, folder, capsys):
        torch.save(their_state("vgg11_bn"), "x.pth")
        main(["import", "x.pth", "--add", "first"])
        printed = yaml_text.load(capsys.readouterr().out.split("ladder:\n\n")[1].split("\n\n")[0])
        assert yaml_text.load(Path("params.yaml").read_text()) == PARAMS | {
            "models": PARAMS["models"] | {"first": printed["vgg11_bn"]}
        }

    def test_a_model_name_that_is_taken_is_an_error(self, folder):
        torch.save(their_state("vgg11"), "x.pth")
        with pytest.raises(SystemExit, match=r"models\.III: already exists; choose another name"):
            main(["import", "x.pth", "--add", "III"])
        assert not Path("imports").exists()
        assert yaml_text.load(Path("params.yaml").read_text()) == PARAMS

    @pytest.mark.parametrize(
        ("name", "old", "new", "error"),
        [
            ("", "", "", "params.yaml: models.'': invalid model name; use 1 to 32 letters"),
            ("../x", "", "", "params.yaml: models.'../x': invalid model name; use 1 to 32 letters"),
            ("new", "seed: 0 ", "seed: -1 ", "params.yaml: seed: must be greater than or equal to 0, got -1"),
        ],
    )
    def test_a_model_that_can_t_be_added_leaves_no_file(self, folder, name, old, new, error):
        torch.save(their_state("vgg11"), "x.pth")
        text = TEXT.replace(old, new, 1)
        Path("params.yaml").write_text(text)
        assert refused("x.pth", "--add", name).startswith(f"error: {error}")
        assert sorted(path.name for path in folder.iterdir() if path.suffix != ".lock") == ["params.yaml", "x.pth"]
        assert Path("params.yaml").read_text() == text

    def test_a_missing_file_is_an_error_that_suggests_one(self, folder):
        Path("net.pth").touch()
        assert refused("nett.pth") == "error: nett.pth: no such file; did you mean net.pth?"
        assert refused("q.pth") == "error: q.pth: no such file; this folder contains net.pth, params.yaml"
        assert (
            refused("net.pth", "--classes", "q") == "error: q: no such file; this folder contains net.pth, params.yaml"
        )

    def test_an_import_takes_class_names_from_a_file(self, folder):
        torch.save(their_state("vgg11"), "x.pth")
        Path("names").write_text("cat\ndog\n\n größter \nemu\n", encoding="utf-8")
        main(["import", "x.pth", "--classes", "names"])
        assert load_weights(imported("x"))[0].classes == ("cat", "dog", "größter", "emu")

    def test_an_import_has_the_given_normalization(self, folder):
        state = their_state("vgg11")
        torch.save(state, "x.pth")
        main(["import", "x.pth", "--mean", "0.5", "0.25", "0", "--std", "1", "0.5", "0.25"])
        card, tensors = load_weights(imported("x"))
        assert card.mean == (0.5, 0.25, 0)
        first = state["features.0.weight"]
        assert torch.equal(tensors["conv1_1.weight"], torch.stack([first[:, 0], first[:, 1] * 2, first[:, 2] * 4], 1))

    @pytest.mark.parametrize("norm", ["none", "batch"])
    def test_an_exported_network_comes_back_as_it_was(self, folder, norm):
        layers = LAYERS["vgg16"]
        card = ModelCard(model="vgg16" if norm == "none" else "vgg16_bn", layers=layers, norm=norm, width=1.0, image=(3, 32, 32),
                         classes=("a", "b", "c"), mean=(0.1, 0.7, 0.3), flip=True)  # fmt: skip
        save_weights(Path("III.safetensors"), random_state(card.plan()), card)
        main(["export", "III.safetensors", "--to", "torchvision"])
        main(["import", "III-torchvision.safetensors"])
        assert imported("x").read_bytes() == Path("III.safetensors").read_bytes()

    def test_import_writes_into_a_project(self, folder, tmp_path, monkeypatch):
        torch.save(their_state("vgg11"), "x.pth")
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir("elsewhere")
        told = refused("../x.pth")
        assert told.startswith("error: this folder: not a Deepen project, params.yaml is missing; run the command")
        main(["import", "../x.pth", "--project", ".."])
        assert len(list(Path("../imports").iterdir())) == 1

    def test_help_shows_how_to_use_import(self, capsys):
        with pytest.raises(SystemExit, match="0"):
            main(["import", "--help"])
        told = " ".join(capsys.readouterr().out.split())
        assert "deepen import vgg16-397923af.pth" in told
        assert "No code in the file is executed." in told


@pytest.mark.slow
def test_many_may_import_a_file_at_once(tmp_path):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    state = {
        "a.weight": torch.rand(2, 3, 3, 3),
        "a.bias": torch.rand(2),
        "b.weight": torch.rand(2, 8),
        "b.bias": torch.rand(2),
    }
    torch.save(state, tmp_path / "x.pth")
    words = [
        "import",
        "x.pth",
        "--layers",
        "conv3-2 maxpool",
        "--image",
        "3x4x4",
        "--mean",
        "0",
        "0",
        "0",
        "--std",
        "1",
        "1",
        "1",
    ]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = Project(tmp_path, tmp_path).env
    crowd = [subprocess.Popen(["deepen", *words], cwd=tmp_path, env=environment, text=True, **pipes) for _ in range(6)]
    ends = [(*each.communicate(), each.returncode) for each in crowd]
    (start,) = (tmp_path / "imports").iterdir()
    assert start.name.split(".")[0] == f"x-{content_hash(start)}"
    assert [(errors, code) for _, errors, code in ends] == [("", 0)] * 6
    assert all(f"imports/{start.name}: " in told for told, _, _ in ends)


class Runs:
    """Pickled code: a file of a stranger's could hold any."""

    def __reduce__(self):
        return os.mkdir, ("it-ran",)


def without(key, **more):
    return {name: tensor for name, tensor in their_state("vgg16_bn").items() if name != key} | more


def spoilt(key, change):
    return without("", **{key: change(their_state("vgg16_bn")[key].clone())})


NEAREST = "error: x.pth: as torchvision's vgg16_bn, which is nearest: "
OTHERWISE = "; use --layers for another network"
FIRST = "features.0.weight"
DAMAGED = "error: x.pth: is damaged, truncated or not written by torch.save ("
RUN = "which was not run; if you trust it, run torch.save(torch.load('x.pth', weights_only=False)"
CODE = (
    f"error: x.pth: contains pickled code besides tensors (posix.mkdir), {RUN}['state_dict'], 'state.pth') where that"
)


class TestRefused:
    @pytest.mark.parametrize(
        ("content", "error"),
        [
            (b"", f"{DAMAGED}pickle exhausted before seeing STOP); download it again, or save the state dict alone: torch."),
            (b"x" * 1000, DAMAGED),
            (b"\n <!DOCTYPE html><title>404</title>", "x.pth: is a web page, not a file of torch.save; download the"),
            (b"version https://git-lfs.github.com/spec/v1\n", "x.pth: is a Git LFS pointer, not the file itself; run g"),
            (pickle.dumps({"a": Runs()}), CODE),
            (pickle.dumps({"a": Runs()}, protocol=0), CODE),
            ({"a": Runs()}, CODE),
            (
                {"model": {"a.weight": torch.zeros(1)}, "args": Namespace(lr=0.1)},
                f"(argparse.Namespace), {RUN}['model'], 'state.pth')",
            ),
            (
                torch.nn.Sequential(torch.nn.Linear(2, 3)),
                "contains a whole network as pickled code (torch.nn.modules.container.Sequential, torch.nn.modules.linear.Linear"
                f"), {RUN}.state_dict(), 'state.pth') where that code is installed, and import state.pth",
            ),
            ([torch.zeros(1)], "error: x.pth: contains a list, not a state dict; save"),
            (
                {"epoch": 3, "state_dict": {}, 7: {}},
                "error: x.pth: contains epoch, state_dict, int, but no state dict (a mapping of tensors only); save the state",
            ),
            ({}, "error: x.pth: its names are not those of a torchvision VGG, such as features.0.weight: none; save"),
            (
                {"conv1.weight": torch.zeros(1)},
                "such as features.0.weight: conv1.weight; it has no linear layer, so the head is missing: import the whole network",
            ),
            (
                {"a.weight": torch.zeros(8, 3, 5, 5), "b.weight": torch.zeros(9, 8), "c.weight": torch.zeros(2, 9)},
                "a.weight, b.weight, c.weight; use --layers for another network, for example 'conv5-8 fc-9' with its maxpools added",
            ),
        ],
        ids=range(14),
    )  # fmt: skip
    def test_a_file_that_is_not_a_state_dict_is_an_error(self, folder, content, error):
        Path("x.pth").write_bytes(content) if isinstance(content, bytes) else torch.save(content, "x.pth")
        told = refused("x.pth")
        assert error in told
        assert told.isprintable()
        assert not Path("it-ran").exists()

    def test_a_checkpoint_that_can_t_be_read_is_an_error(self, folder):
        Path("folder.pth").mkdir()
        assert refused("folder.pth") == "error: folder.pth: can't be read (Is a directory); name a readable file"
        assert "error: .: can't be read (Is a directory)" in refused(".")
        Path("x.safetensors").write_bytes(b"x" * 100)
        assert "error: x.safetensors: is damaged (" in refused("x.safetensors")
        save_file(their_state("vgg11"), "x.safetensors", metadata={"torchvision": "{}"})
        assert refused("x.safetensors").endswith("invalid metadata of deepen export; export it again")

    @pytest.mark.parametrize(
        ("make", "error"),
        [
            (lambda: without(FIRST), f"{FIRST} is missing"),
            (lambda: without("", extra=torch.zeros(1)), "extra is an unexpected key"),
            (lambda: spoilt(FIRST, lambda x: x[:1]), f"{FIRST} has shape (1, 3, 3, 3), not (2, 3, 3, 3)"),
            (lambda: spoilt(FIRST, torch.Tensor.int), f"{FIRST} is torch.int32, torch.strided, on cpu, not a dense floating-point tensor"),
            (lambda: spoilt("classifier.3.bias", torch.Tensor.to_sparse), "classifier.3.bias is torch.float32, torch.sparse_coo"),
            (lambda: spoilt("classifier.3.bias", lambda x: x.to("meta")), "torch.strided, on meta, not a dense floating-point tensor"),
            (lambda: spoilt(FIRST, lambda x: x.fill_(torch.nan)), f"{FIRST} contains NaN or infinite values"),
            (lambda: spoilt("features.1.running_var", lambda x: x.fill_(torch.inf)), "running_var contains NaN or infinite"),
            (lambda: their_state("vgg16_bn", classes=1), "classifier.6.weight has shape (1, 12), expected 2 to 65,536"),
            (lambda: spoilt("classifier.6.weight", torch.Tensor.sum), "classifier.6.weight has shape (), expected"),
        ],
    )  # fmt: skip
    def test_a_state_dict_of_an_unknown_network_is_an_error(self, folder, make, error):
        torch.save(make(), "x.pth")
        told = refused("x.pth")
        assert told.startswith(NEAREST)
        assert error in told
        assert told.count("\n") == 0

    def test_all_faults_of_an_import_are_reported_together(self, folder):
        torch.save(without(FIRST, **{"features.1.weights": torch.zeros(1), "two\nlines": torch.zeros(1)}), "x.pth")
        assert refused("x.pth").splitlines() == [
            f"{NEAREST}{fault}{OTHERWISE}"
            for fault in (
                f"{FIRST} is missing",
                "features.1.weights is an unexpected key",
                r"'two\nlines' is an unexpected key",
            )
        ]

    @pytest.mark.parametrize(
        ("words", "error"),
        [
            (["--classes", "three"], "error: x.pth: it has 4 classes, but 3 names are given; name each once"),
            (["--classes", "turned"], "error: x.pth: class name 'b\\u202e' has a line break, control character"),
            (["--classes", "twice"], "error: x.pth: duplicate class name 'a': 2 classes have it; rename all but one"),
            (["--classes", "empty"], "error: x.pth: it has 4 classes, but 0 names are given; name each once"),
            (["--classes", "gone"], "error: gone: no such file; this folder contains "),
            (["--classes", "x.pth"], "error: x.pth: can't be read as UTF-8 text (not UTF-8 text, byte 0x"),
            (
                ["--mean", "124", "116", "104"],
                "error: x.pth: mean: 124 116 104 must lie between 0 and 1; divide values for 0-255",
            ),
            (
                ["--std", "0", "1", "nan"],
                "error: x.pth: std: 0 1 nan must lie above 0 and up to 1; divide values for 0-255",
            ),
        ],
    )
    def test_wrong_options_about_a_network_are_errors(self, folder, words, error):
        torch.save(their_state("vgg11"), "x.pth")
        Path("three").write_text("a\nb\nc\n")
        Path("empty").touch()
        Path("twice").write_text("a\nb\nc\na\n")
        Path("turned").write_text("a\nb\u202e\nc\nd\n", encoding="utf-8")
        assert error in refused("x.pth", *words)


def test_old_counts_may_be_missing_and_halves_are_widened(small_nets):
    state = {key: tensor.half() for key, tensor in their_state("vgg11_bn").items() if "num_batches" not in key}
    card, tensors = as_network(state, IMAGENET_MEAN, (1.0, 1.0, 1.0))
    assert card.model == "vgg11_bn"
    assert tensors["conv1_1.weight"].dtype == torch.float32
    assert torch.equal(tensors["conv1_1.weight"], state["features.0.weight"].float())


@pytest.mark.parametrize("name", LAYERS)
def test_the_real_networks_are_recognised(name):
    with torch.device("meta"):
        state = getattr(torchvision.models, name)(num_classes=3).state_dict()
    with pytest.raises(
        InputError, match=f"as torchvision's {name}, .*: features.0.weight is torch.float32, .*, on meta"
    ):
        recognise(state)


@pytest.mark.slow
def test_an_imported_network_computes_what_torchvision_does():
    layers = lay_out("vgg11_bn", 5)
    with torch.device("meta"):
        theirs = torchvision.models.vgg11_bn(num_classes=5)
    theirs.load_state_dict(to_torchvision(layers, random_state(layers)), strict=True, assign=True)
    card, tensors = as_network(theirs.state_dict(), IMAGENET_MEAN, IMAGENET_STD)
    images = torch.randint(256, (2, 3, 224, 224), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = theirs.eval()(torchvision.transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)(images / 255))
        found = build_network(card.plan(), tensors).eval()(normalize(images, torch.tensor(card.mean)))
    assert expected.std() > 0.01
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_the_docs_have_the_entry_that_is_printed():
    card = ModelCard(model="vgg16", layers=LAYERS["vgg16"], width=1.0, image=(3, 224, 224), classes=("a", "b"),
                        mean=IMAGENET_MEAN, flip=True)  # fmt: skip
    told = (
        re.sub(r" +#.*", "", describe_import(card, "imports/vgg16-<hash>.safetensors"))
        .split("ladder:\n\n")[1]
        .split("\n\n")[0]
    )
    assert told in (ROOT / "docs/exchange.md").read_text()


def with_start(start, **model):
    params = {**PARAMS, "width": 1 / 32, "models": {**PARAMS["models"]}}
    params["models"]["I"] = {**params["models"]["I"], "start": start, **model}
    return params


class TestSettings:
    @pytest.mark.parametrize(
        ("start", "model", "errors"),
        [
            ("x.safetensors", {}, ["models.I.start: the string 'x.safetensors' has no hash in its name; use a file of deepen"]),
            ("", {}, ["models.I.start: the string '' has no hash"]),
            ("x-0123ABCD.safetensors", {}, ["has no hash in its name"]),
            (3, {}, ["models.I.start: must be a string, got 3; write for example start: imports/vgg16-0a1b2c3d.safetensors"]),
            (
                "x-01234567.safetensors",
                {"after": "II"},
                ["circular dependency", "models.I.start: requires after: scratch, but I grows from 'II'; write after: scratch"],
            ),
        ],
    )  # fmt: skip
    def test_start_names_an_imported_file_of_a_first_model(self, start, model, errors):
        with pytest.raises(InputError) as error:
            check_settings(with_start(start, **model))
        assert all(expected in str(error.value) for expected in errors)
        assert len(error.value.faults) >= len(errors)

    def test_a_model_with_a_start_trains_as_a_grown_model(self):
        settings = check_settings(with_start("x-01234567.safetensors"))
        assert settings.peak_lr("I") == settings.peak_lr("II") < check_settings(with_start(None)).peak_lr("I")


class TestFilesToStartFrom:
    def started(self, start):
        return read_start_shapes(check_settings(with_start(start)).models, Path("imports"))

    def test_an_imported_file_must_match_the_hash_in_its_name(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        start = small_start(Path("imports"))
        assert self.started(start)["I"]["head.weight"] == (10, 32)
        grown = Path(f"imports/{start}").read_bytes() + b"x"
        Path(f"imports/{start}").write_bytes(grown)
        with pytest.raises(InputError) as error:
            self.started(start)
        assert str(error.value).startswith(
            f"params.yaml: models.I.start: imports/{start}: checksum mismatch: its content's hash is "
        )
        assert str(error.value).endswith("; run deepen import again")

    @pytest.mark.parametrize(
        ("content", "error"),
        [(None, "No such file or directory"), (b"", "it is empty or cut off"), (b"x" * 100, "its header is damaged")],
    )
    def test_a_file_to_start_from_that_can_t_be_read_is_an_error(self, tmp_path, monkeypatch, content, error):
        monkeypatch.chdir(tmp_path)
        start = "x-01234567.safetensors"
        if content is not None:
            Path("imports").mkdir()
            Path("imports/x").write_bytes(content)
            start = f"x-{content_hash(Path('imports/x'))}.safetensors"
            Path("imports/x").rename(f"imports/{start}")
        with pytest.raises(
            InputError, match=rf"models\.I\.start: imports/{start}: can't be read \(.*{error}.*\); run deepen"
        ):
            self.started(start)

    def test_a_start_that_does_not_fit_is_an_error_with_the_width(self):
        settings = check_settings(with_start("x-01234567.safetensors"))
        shapes = list_tensor_shapes(plan(settings.models["I"].layers, width=1, image=(1, 8, 8), classes=10))
        with pytest.raises(InputError) as error:
            plan_ladder(settings, (1, 8, 8), 10, {"I": shapes})
        opening = "params.yaml: models.I: start x-01234567.safetensors: "
        assert (
            f"{opening}conv1_1.weight has shape (4, 1, 3, 3), but conv1_1.weight of the source has (128, 1, 3, 3)"
            in str(error.value)
        )
        assert error.value.faults[-1].startswith(
            f"{opening}width is 0.03125, which multiplies channels; an imported network"
        )

    def test_new_layers_and_left_ones_are_told_as_when_growing(self):
        settings = check_settings({**with_start("x-01234567.safetensors"), "width": 1.0})
        shapes = list_tensor_shapes(plan("conv3-128*2 maxpool fc-9", width=1, image=(1, 8, 8), classes=10))
        with pytest.raises(InputError, match="source layer conv1_2 is neither copied nor dropped"):
            plan_ladder(settings, (1, 8, 8), 10, {"I": shapes})


def small_start(folder):
    """A file of the tiny project's model I that is unlike any start, named as `deepen import` does."""
    card = ModelCard(model="x", layers=PARAMS["models"]["I"]["layers"], width=1 / 32, image=(1, 8, 8), mean=(0.3,), flip=False,
                     classes=tuple(f"class {i}" for i in range(10)))  # fmt: skip
    save_weights(folder / "x", random_state(card.plan()), card)
    start = f"x-{content_hash(folder / 'x')}.safetensors"
    (folder / "x").rename(folder / start)
    return start


class TestInThePipeline:
    def test_a_model_starts_from_an_import_also_in_a_copy_of_the_project(self, project):
        start = f"imports/{small_start(project.path / 'imports')}"
        assert project("git status --short") == ""
        ran = project.ran("dvc exp run --temp -n started -S", f"+models.I.start={start}", "transfer@I")
        assert ran == ["check", "transfer@I"]
        project("dvc exp apply started")
        _, expected = load_weights(project.path / start)
        _, found = load_weights(project.path / "weights/init/I.safetensors")
        assert all(torch.equal(tensor, expected[key]) for key, tensor in found.items())
        report = json.loads(project.read("transfers/I.json"))
        assert report["start"] == [start]
        assert [report[f"{kind}_tensors"] for kind in ("copied", "fresh", "dropped")] == [10, 0, 0]

    def test_an_imported_start_is_trained_and_its_fresh_layers_start_random(self, project):
        start = f"imports/{small_start(project.path / 'imports')}"
        exceptions = ["-S", "+models.I.fresh=[head]", "-S", "+models.I.dropped=[head]"]
        output = project("dvc exp run -S", f"+models.I.start={start}", *exceptions, "evaluate@I")
        assert f"I from {start}: 8 tensors copied, 2 new (random), 2 dropped\n" in output
        assert json.loads(project.read("metrics/I.json"))["top1"] > 0

    def test_a_start_that_does_not_fit_or_has_changed_is_an_error_before_training(self, project):
        start = f"imports/{small_start(project.path / 'imports')}"
        project.edit("params.yaml", ("    after: scratch\n", f"    after: scratch\n    start: {start}\n"))
        fitting = project.read("params.yaml")
        project.edit("params.yaml", ("maxpool fc-1024\n", "maxpool fc-512\n"))
        told = project("python -m pipeline.check", ok=False)
        assert (
            f"error: params.yaml: models.I: start {start}: fc1.weight has shape (16, 16), but fc1.weight of the" in told
        )
        (project.path / "params.yaml").write_text(fitting)
        project("python -m pipeline.check")
        (project.path / start).write_bytes((project.path / start).read_bytes() + b"x")
        for stage in ("check", "transfer I"):
            told = project(f"python -m pipeline.{stage}", ok=False)
            assert told.startswith(
                f"error: params.yaml: models.I.start: {start}: checksum mismatch: its content's hash is "
            )
        project("python -m pipeline.transfer II")
