"""`deepen export`: what other programs get computes what the network does, or there is no file."""

import json
import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torchvision
from dvc_project import ROOT
from pydantic import ValidationError
from safetensors.torch import load_file
from small_nets import random_state

from deepen.cli import main
from deepen.convert import onnx as onnx_export
from deepen.convert.torchvision_names import LAYERS, Exported, find_net, lay_out, to_torchvision
from deepen.core import packages
from deepen.core.errors import InputError
from deepen.data.augmentation import normalize
from deepen.models.layers import list_tensor_shapes, plan
from deepen.models.networks import load_network
from deepen.models.vgg import build_network
from deepen.models.weights import ModelCard, save_weights

CARD = ModelCard(
    model="III",
    layers="conv3-8*2 maxpool conv3-16 conv1-8 maxpool fc-32*2",
    width=0.5,
    image=(3, 12, 9),
    classes=("cat", "dog", "größter"),
    mean=(0.5, 0.4, 0.3),
    flip=True,
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(card=CARD, name="III.safetensors"):
    save_weights(Path(name), random_state(card.plan()), card)
    return name


def refused(*words):
    with pytest.raises(SystemExit) as error:
        main(["export", *words])
    return str(error.value)


def pixels(card, batch):
    draws = torch.Generator().manual_seed(batch)
    return torch.randint(256, (batch, *card.image), dtype=torch.uint8, generator=draws)


def docs(title):
    """The Python in a section of docs/exchange.md."""
    section = (ROOT / "docs/exchange.md").read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]
    return section.split("```python\n")[1].split("```")[0]


class TestOnnx:
    @pytest.mark.parametrize(
        "card",
        [
            CARD,
            CARD.model_copy(update={"norm": "batch", "layers": "conv1-8 conv3-8*2 maxpool conv5-8"}),
            CARD.model_copy(update={"image": (1, 8, 8), "mean": (0.25,), "layers": "maxpool conv3-8 fc-8"}),
            CARD.model_copy(update={"norm": "batch", "layers": "whiten2-24 conv3-8 conv2-8 maxpool3 conv3-8"}),
        ],
        ids=["plain", "norm", "grey", "whitening"],
    )
    @pytest.mark.slow
    def test_onnxruntime_computes_what_the_network_does(self, folder, capfd, card):
        main(["export", written(card), "--to", "onnx"])
        told, errors = capfd.readouterr()
        shape = ", ".join(map(str, card.image))
        assert told.startswith(
            f"III.onnx: uint8 images (batch, {shape}) -> logits, probabilities\nonnxruntime and Deepen"
        )
        assert float(told.splitlines()[1].split()[-4]) < 1e-4
        assert told.splitlines()[2:] == [
            "III.onnx.md: model card of III without results: records/ has none of these weights"
        ]
        assert errors == ""
        assert sorted(path.name for path in folder.iterdir()) == ["III.onnx", "III.onnx.md", "III.safetensors"]
        session = onnxruntime.InferenceSession("III.onnx")
        _, net = load_network(Path("III.safetensors"))
        for batch in (1, 3, 7):
            images = pixels(card, batch)
            logits, probabilities = session.run(None, {"images": images.numpy()})
            expected = net(normalize(images, torch.tensor(card.mean)))
            assert expected.std() > 0.1  # so that a difference would show
            torch.testing.assert_close(torch.from_numpy(logits), expected, rtol=0, atol=1e-4)
            torch.testing.assert_close(torch.from_numpy(probabilities), expected.softmax(1), rtol=0, atol=1e-4)

    @pytest.mark.slow
    def test_an_onnx_file_describes_its_network_and_not_its_origin(self, folder, capsys):
        main(["export", written(), "--to", "onnx", "--output", "new/a.onnx"])
        main(["export", "III.safetensors", "--to", "onnx", "--output", "b.onnx"])
        content = Path("new/a.onnx").read_bytes()
        assert content == Path("b.onnx").read_bytes()
        assert b".py" not in content
        assert str(ROOT).encode() not in content
        metadata = onnxruntime.InferenceSession("b.onnx").get_modelmeta().custom_metadata_map
        assert ModelCard.model_validate_json(metadata["deepen"]) == CARD
        assert json.loads(metadata["classes"]) == list(CARD.classes)
        onnx.checker.check_model("b.onnx", full_check=True)

        Path("b.onnx").rename("III.onnx")
        capsys.readouterr()
        exec(docs("ONNX"), {})
        assert capsys.readouterr().out.strip() in CARD.classes

    def test_a_difference_leaves_no_file(self, folder, monkeypatch):
        monkeypatch.setattr(onnx_export, "measure_difference", lambda *_: 1e-4)
        told = refused(written(), "--to", "onnx")
        assert told.startswith(
            "error: III.onnx: not written, onnxruntime and Deepen differ by 0.0001 and the limit is 0.0001; please report this bug"
        )
        assert [path.name for path in folder.iterdir()] == ["III.safetensors"]

    def test_a_difference_is_measured(self):
        net = build_network(CARD.plan(), random_state(CARD.plan())).eval()
        model = onnx_export.to_onnx(CARD, net)
        bias = next(tensor for tensor in model.graph.initializer if tensor.name.endswith("head.bias"))
        honest = onnx.numpy_helper.to_array(bias)
        for value, difference in ((0, 0), (1, 1), (float("nan"), float("inf"))):
            bias.CopyFrom(onnx.numpy_helper.from_array(honest + np.float32(value), bias.name))
            onnx.save(model, "changed.onnx")
            found = onnx_export.measure_difference(Path("changed.onnx"), CARD, net)
            assert found == pytest.approx(difference, abs=1e-4)

    def test_what_onnx_can_t_express_is_an_error_before_any_export(self, monkeypatch):
        huge = CARD.model_copy(update={"layers": "conv3-8 fc-65536*2", "width": 1.0})
        with pytest.raises(
            InputError, match=r"the network needs 17\.\d GB; the limit of an ONNX file is 2 GB; export a narrower"
        ):
            onnx_export.check_exportable(huge)
        found = packages.find_spec
        monkeypatch.setattr(packages, "find_spec", lambda name: None if name.startswith("onnxs") else found(name))
        told = refused(written(), "--to", "onnx")
        assert told == (
            "error: III.safetensors: ONNX needs the Python package onnxscript, which is not installed; "
            "in Deepen's folder, run python -m pip install --editable '.[onnx]'"
        )


class TestTorchvision:
    @pytest.mark.parametrize("name", LAYERS)
    def test_torchvision_loads_the_export_strictly(self, name):
        layers = lay_out(name, 7)
        with torch.device("meta"):
            theirs = getattr(torchvision.models, name)(num_classes=7)
            ours = to_torchvision(
                layers, {key: torch.empty(shape) for key, shape in list_tensor_shapes(layers).items()}
            )
        expected = {key: tensor.shape for key, tensor in theirs.state_dict().items()}
        assert {key: tensor.shape for key, tensor in ours.items()} == expected
        theirs.load_state_dict(ours, strict=True, assign=True)
        assert find_net(layers) == name

    def test_their_network_computes_what_ours_does(self):
        layers = lay_out("vgg11_bn", 5)
        state = random_state(layers)
        with torch.device("meta"):
            theirs = torchvision.models.vgg11_bn(num_classes=5)
        theirs.load_state_dict(to_torchvision(layers, state), strict=True, assign=True)
        mean = [0.5, 0.4, 0.3]
        images = torch.randint(256, (2, 3, 224, 224), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            ours = build_network(layers, state).eval()(normalize(images, torch.tensor(mean)))
            normalized = torchvision.transforms.Normalize(mean, [1.0, 1.0, 1.0])(images / 255)
            found = theirs.eval()(normalized)
        assert ours.std() > 0.01
        torch.testing.assert_close(found, ours, rtol=1e-4, atol=1e-4)

    def test_the_file_says_how_to_normalize(self, small_nets, capsys):
        card = ModelCard(model="I", layers=LAYERS["vgg13_bn"], norm="batch", width=1.0, image=(3, 33, 32), classes=("a", "b"),
                         mean=(0.5, 0.25, 0.125), flip=False)  # fmt: skip
        main(["export", written(card, "I.safetensors"), "--to", "torchvision"])
        assert capsys.readouterr().out == (
            "I-torchvision.safetensors: for torchvision.models.vgg13_bn(num_classes=2).load_state_dict\n"
            "it takes images of 33x32 after\n"
            "torchvision.transforms.Normalize([0.5, 0.25, 0.125], [1.0, 1.0, 1.0])\n"
            "I-torchvision.safetensors.md: model card of I without results: records/ has none of these weights\n"
        )
        found, state = load_file("I-torchvision.safetensors"), random_state(card.plan())
        assert torch.equal(found["features.1.running_var"], state["norm1_1.running_var"])
        assert torch.equal(found["classifier.6.bias"], state["head.bias"])
        assert found["features.1.num_batches_tracked"] == 0

    def test_another_shape_than_torchvision_s_is_an_error_that_names_it(self, folder):
        told = refused(written(), "--to", "torchvision")
        assert told.startswith(
            "error: III.safetensors: it is not a torchvision VGG network for images of 3x224x224: conv1_1.weight is 4x3x3x3, in vgg"
        )
        assert told.endswith("more; --to onnx supports any network")
        assert [path.name for path in folder.iterdir()] == ["III.safetensors"]

    @pytest.mark.parametrize(
        ("layers", "image", "difference"),
        [
            (LAYERS["vgg16"], (3, 32, 32), "fc1.weight is 4096x512, in vgg16 it is 4096x25088;"),
            (LAYERS["vgg16"], (1, 224, 224), "conv1_1.weight is 64x1x3x3, in vgg16 it is 64x3x3x3;"),
            (LAYERS["vgg11"].replace("maxpool fc", "fc"), (3, 112, 112), "pool5 is missing, in vgg11 it is 2x2;"),
            (
                LAYERS["vgg11"].replace("maxpool", "maxpool maxpool", 1),
                (3, 448, 448),
                "conv3_1.weight is 128x64x3x3, in vgg11 it is 256x128x3x3;",
            ),
            (LAYERS["vgg11"].replace("maxpool fc", "maxpool3 fc"), (3, 336, 336), "pool5 is 3x3, in vgg11 it is 2x2;"),
            ("whiten3-24 " + LAYERS["vgg11"], (3, 224, 224), "whiten.weight is 24x3x3x3, in vgg11 it is missing;"),
            (
                LAYERS["vgg11"].replace("conv3-64", "conv2-64"),
                (3, 225, 225),
                "conv1_1.weight is 64x3x2x2, in vgg11 it is",
            ),
            (LAYERS["vgg19"] + " fc-10", (3, 224, 224), "fc3.weight is 10x4096, in vgg19 it is missing;"),
        ],
    )
    def test_each_difference_from_torchvision_is_named(self, layers, image, difference):
        with pytest.raises(
            InputError, match=r"it is not a torchvision VGG network for images of 3x224x224: .*; --to onnx supports"
        ) as error:
            find_net(plan(layers, width=1, image=image, classes=10))
        assert difference in str(error.value)

    def test_a_width_that_makes_torchvision_s_shapes_is_exported(self):
        layers = LAYERS["vgg16"].replace("fc-4096*2", "fc-4096 fc-4096")
        assert find_net(plan(layers, width=1, image=(3, 240, 230), classes=2)) == "vgg16"
        halved = "conv3-128 maxpool conv3-256 maxpool conv3-512*2 maxpool conv3-1024*2 maxpool conv3-1024*2 maxpool fc-8192*2"
        assert find_net(plan(halved, width=0.5, image=(3, 224, 224), classes=2)) == "vgg11"


@pytest.mark.parametrize("kind", ["onnx", "torchvision"])
def test_a_file_that_is_there_stays_unless_forced(small_nets, capsys, kind):
    card = CARD.model_copy(update={"layers": LAYERS["vgg11"], "width": 1.0, "image": (3, 32, 32)})
    weights = written(card)
    Path("mine").write_text("mine")
    told = refused(weights, "--to", kind, "--output", "mine")
    assert told == "error: mine: already exists; add --force to replace it, or choose another --output"
    assert Path("mine").read_text() == "mine"
    main(["export", weights, "--to", kind, "--output", "mine", "--force"])
    assert Path("mine").stat().st_size > 10_000


@pytest.mark.parametrize("kind", ["onnx", "torchvision"])
@pytest.mark.parametrize("output", ["III.safetensors", "./III.safetensors", "link", "same", "linked/III.safetensors"])
def test_the_input_is_never_replaced(small_nets, kind, output):
    weights = written(CARD.model_copy(update={"layers": LAYERS["vgg11"], "width": 1.0, "image": (3, 32, 32)}))
    Path("link").symlink_to(weights)
    Path("same").hardlink_to(weights)
    Path("linked").symlink_to(".")
    before = Path(weights).read_bytes()
    told = refused(weights, "--to", kind, "--output", output, "--force")
    assert told == f"error: {Path(output)}: is the input; choose another --output"
    assert Path(weights).read_bytes() == before


@pytest.mark.parametrize("kind", ["onnx", "torchvision"])
@pytest.mark.parametrize(
    ("output", "fault"),
    [
        ("/dev/null", "is a device, only regular files can be replaced; name a file"),
        ("/dev/stdout", "is a device, only regular files can be replaced; name a file"),
        ("folder", "is a folder, only regular files can be replaced; name a file"),
        ("pipe", "is a pipe, only regular files can be replaced; name a file"),
    ],
)
def test_only_files_are_replaced_also_by_force(small_nets, kind, output, fault):
    weights = written(CARD.model_copy(update={"layers": LAYERS["vgg11"], "width": 1.0, "image": (3, 32, 32)}))
    Path("folder").mkdir()
    os.mkfifo("pipe")
    before = os.lstat(output)
    assert refused(weights, "--to", kind, "--output", output, "--force") == f"error: {output}: {fault}"
    assert os.path.samestat(before, os.lstat(output))


def test_class_names_of_a_stranger_s_file_are_checked():
    with pytest.raises(ValidationError, match="duplicate class name 'a': 2 classes have it"):
        Exported(net="vgg11", classes=("a", "a"), mean=(0.5, 0.5, 0.5), std=(1.0, 1.0, 1.0))


def test_a_file_that_is_not_weights_is_an_error():
    Path("x").write_text("x")
    assert refused("x", "--to", "onnx").startswith("error: x: invalid safetensors file")
    assert (
        refused("gone", "--to", "torchvision") == "error: gone: no such file; dvc repro makes weights/III.safetensors"
    )


def test_help_shows_how_to_use_export(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["export", "--help"])
    told = capsys.readouterr().out
    assert "deepen export weights/III.safetensors --to onnx" in told
    assert "--force" in told
