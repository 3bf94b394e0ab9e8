"""`deepen import --layers`: any plain network, under any names, computes here what it did in its own program."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import yaml
from dvc_project import ROOT
from safetensors.torch import save_file
from tensors import load_weights
from torch import nn

from deepen.cli import main
from deepen.config.settings import check_settings
from deepen.convert.plain_import import model_name
from deepen.data.augmentation import normalize
from deepen.growth.ladder import plan_ladder
from deepen.growth.pretrained import read_start_shapes
from deepen.models.networks import load_network

PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
LAYERS = "conv3-6 maxpool conv3-8*2 maxpool fc-16"
MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.5, 0.2)
NORMALIZATION = ["--mean", *map(str, MEAN), "--std", *map(str, STD)]
WORDS = ["--layers", LAYERS, "--image", "3x12x12", *NORMALIZATION]


def block(*channels, norm=False, bias=True):
    """Some convolutions, each with its ReLU, and a pool, as a module of its own: their names are network.0, ..."""
    layers = []
    for inputs, outputs in pairwise(channels):
        layers.append(nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias))
        layers += [nn.BatchNorm2d(outputs)] if norm else []
        layers.append(nn.ReLU())
    module = nn.Module()
    module.network = nn.Sequential(*layers, nn.MaxPool2d(2))
    module.forward = module.network.forward
    return module


class Plain(nn.Module):
    """Blocks of convolutions, then linear layers: keys such as network.0.network.0.weight, network.3.bias."""

    def __init__(self, **options):
        super().__init__()
        blocks = [block(3, 6, **options), block(6, 8, 8, **options)]
        linear = [nn.Flatten(), nn.Linear(8 * 3 * 3, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 4)]
        self.network = nn.Sequential(*blocks, *linear)

    def forward(self, images):
        return self.network(images)


def photos(count=32):
    return torch.randint(256, (count, 3, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def as_they_normalize(images):
    return (images / 255 - torch.tensor(MEAN).view(1, -1, 1, 1)) / torch.tensor(STD).view(1, -1, 1, 1)


def trained(**options):
    """Such a network after some steps in plain PyTorch, so that running statistics have moved too."""
    torch.manual_seed(0)
    net = Plain(**options)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    labels = torch.arange(32) % 4
    for _ in range(10):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(as_they_normalize(photos())), labels).backward()
        optimizer.step()
    return net.eval()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A project, to be in, with `x.pth`."""
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "params.yaml").read_text().replace("width: auto ", "width: 1.0 ", 1)  # as imports need
    (tmp_path / "params.yaml").write_text(text)
    torch.save(trained().state_dict(), "x.pth")
    return tmp_path


def refused(*words):
    with pytest.raises(SystemExit) as error:
        main(["import", *words])
    assert not Path("imports").exists()
    return str(error.value)


def saved(change, name="x.pth", **options):
    """Save a changed state dict."""
    state = dict(trained(**options).state_dict())
    torch.save(change(state) or state, name)


@pytest.mark.parametrize("norm", [False, True], ids=["plain", "norm"])
@pytest.mark.parametrize("wrap", [dict, lambda state: {"epoch": 3, "model_state_dict": state, "optimizer": {"state": {}}},
                                  lambda state: {f"module._orig_mod.{key}": tensor for key, tensor in state.items()}],
                         ids=["as it is", "in a checkpoint", "prefixed"])  # fmt: skip
def test_an_imported_plain_network_computes_what_it_did(folder, capsys, norm, wrap):
    net = trained(norm=norm)
    torch.save(wrap(net.state_dict()), "x.pth")
    main(["import", "x.pth", *WORDS])
    told = capsys.readouterr().out
    start = re.search(r"^(imports/x-[0-9a-f]{8}\.safetensors): ", told, re.MULTILINE)[1]
    card, ours = load_network(Path(start))
    assert (card.layers, card.image, card.norm) == (LAYERS, (3, 12, 12), "batch" if norm else "none")
    with torch.inference_mode():
        expected = net(as_they_normalize(photos()))
        found = ours(normalize(photos(), torch.tensor(card.mean)))
    assert expected.std() > 0.01
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_biases_of_zeros_are_added_as_the_error_says(folder):
    state = trained(bias=False).state_dict()
    torch.save(state, "x.pth")
    for line in refused("x.pth", *WORDS).splitlines():
        exec(line.partition("add a zero bias: ")[2], {"state": state, "torch": torch})
    torch.save(state, "x.pth")
    main(["import", "x.pth", *WORDS])
    _, ours = load_network(next(Path("imports").iterdir()))
    net = trained(bias=False)
    with torch.inference_mode():
        expected = net(as_they_normalize(photos()))
        torch.testing.assert_close(ours(normalize(photos(), torch.tensor(MEAN))), expected, rtol=1e-5, atol=1e-5)


def test_each_matched_tensor_is_printed(folder, capsys):
    main(["import", "x.pth", *WORDS])
    assert capsys.readouterr().out.splitlines()[:10] == [
        "network.0.network.0.weight -> conv1_1.weight 6x3x3x3",
        "network.0.network.0.bias   -> conv1_1.bias 6",
        "network.1.network.0.weight -> conv2_1.weight 8x6x3x3",
        "network.1.network.0.bias   -> conv2_1.bias 8",
        "network.1.network.2.weight -> conv2_2.weight 8x8x3x3",
        "network.1.network.2.bias   -> conv2_2.bias 8",
        "network.3.weight           -> fc1.weight 16x72",
        "network.3.bias             -> fc1.bias 16",
        "network.6.weight           -> head.weight 4x16",
        "network.6.bias             -> head.bias 4",
    ]


def test_a_ladder_starts_from_a_plain_network(folder, capsys):
    main(["import", "x.pth", *WORDS, "--add", "first"])
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["models"] = {"first": params["models"]["first"]}
    params["models"]["second"] = {"after": "first", "layers": LAYERS.replace("8*2", "8*3"), "epochs": 1}
    settings = check_settings({**params, "depth": "second", "width": 1.0})
    plans = plan_ladder(settings, (3, 12, 12), 7, read_start_shapes(settings.models, Path()))
    assert plans["second"][-1].outputs == (7,)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_another_precision_is_converted_with_a_note(folder, capsys, dtype):
    net = trained().to(dtype)
    torch.save(net.state_dict(), "x.pth")
    main(["import", "x.pth", *WORDS])
    assert f"10 tensors of {dtype}, converted to torch.float32\n" in capsys.readouterr().out
    _, tensors = load_weights(next(Path("imports").iterdir()))
    assert torch.equal(tensors["head.weight"], net.state_dict()["network.6.weight"].float())


def test_a_safetensors_file_is_sorted_and_put_in_order_by_its_numbers(folder):
    deep = nn.Sequential(*(nn.Conv2d(4 if i else 3, 4, 3, padding=1) for i in range(12)), nn.Linear(4 * 9, 3))
    torch.save(deep.state_dict(), "x.pth")
    save_file(deep.state_dict(), "y.safetensors")
    words = ["--layers", "conv3-4*12 maxpool maxpool", "--image", "3x12x12", *NORMALIZATION]
    for file in ("x.pth", "y.safetensors"):
        main(["import", file, *words])
    (x,), (y,) = Path("imports").glob("x-*"), Path("imports").glob("y-*")
    assert all(torch.equal(tensor, load_weights(y)[1][key]) for key, tensor in load_weights(x)[1].items())


def test_a_safetensors_file_whose_names_tell_no_order_is_refused(folder):
    save_file({f"{name}.{part}": torch.zeros(4) for name in ("first", "second") for part in ("weight", "bias")}, "y.safetensors")  # fmt: skip
    told = refused("y.safetensors", *WORDS)
    assert told == (
        "error: y.safetensors: a .safetensors file keeps no order, and the names first.bias and second.weight don't show it; "
        "save the state dict with torch.save, whose order is the network's"
    )


def less(state):
    del state["network.1.network.2.weight"], state["network.1.network.2.bias"]


def more(state):
    state["network.9.weight"], state["network.9.bias"] = torch.zeros(5, 4), torch.zeros(5)


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        (less, ["the file has no tensors for conv2_2 (weight 8x8x3x3, bias 8)"]),
        (more, ["the file has network.6 (weight 4x16, bias 4) where the layers have head (weight 5x16, bias 5)",
                "no layer matches the file's network.9 (weight 5x4, bias 5)"]),
    ],
    ids=["less", "more"],
)  # fmt: skip
def test_every_tensor_must_match_and_each_that_does_not_is_reported(folder, change, faults):
    saved(change)
    remedy = "write --layers in the order in which the network applies them"
    assert refused("x.pth", *WORDS).splitlines() == [f"error: x.pth: {fault}; {remedy}" for fault in faults]


def test_layers_that_differ_are_reported_with_their_shapes(folder):
    told = refused("x.pth", "--layers", "conv5-6 maxpool conv3-8*2 maxpool fc-16", *WORDS[2:])
    assert told.startswith("error: x.pth: the file has network.0.network.0 (weight 6x3x3x3, bias 6) where the layers have conv1_1 (weight 6x3x5x5, bias 6); write")  # fmt: skip


@pytest.mark.parametrize(
    ("options", "change", "error"),
    [
        ({"bias": False}, dict, "network.0.network.0 has no bias, but every layer needs one; add a zero bias: state['network.0.network.0.bias'] = torch.zeros(6)"),
        ({}, lambda state: {"a.weight": torch.zeros(6), "a.bias": torch.zeros(6)} | state, "a is a norm without running statistics (6); batch norm is the only supported norm"),
        ({}, lambda state: {"a.weight": torch.zeros(6, 3, 3), "a.bias": torch.zeros(6)} | state, "a has a weight of 6x3x3; only convolutions, linear"),
        ({}, lambda state: {"a.weight": torch.zeros(6, 3, 1, 3), "a.bias": torch.zeros(6)} | state, "a has a kernel of 1x3; only square kernels are supported"),
        ({}, lambda state: state | {"position": torch.zeros(6)}, "position is not a weight, bias or running statistic; only convolutions"),
        ({}, lambda state: {key: tensor for key, tensor in state.items() if tensor.ndim == 4 or tensor.shape[0] in (6, 8)}, "it has no linear layer, so the head is missing; import the whole network"),
        ({}, lambda state: state | {"network.6.bias": torch.full((4,), torch.nan)}, "network.6.bias contains NaN or infinite values"),
        ({}, lambda state: state | {"network.6.bias": torch.zeros(4, dtype=torch.int32)}, "network.6.bias is torch.int32, torch.strided, on cpu, not a dense"),
        ({}, lambda state: state | {"network.6.weight": torch.zeros(1, 16), "network.6.bias": torch.zeros(1)}, "its last layer has 1 output; 2 to 65,536 classes are supported"),
    ],
    ids=range(9),
)  # fmt: skip
def test_a_state_dict_that_is_not_a_plain_network_is_an_error(folder, options, change, error):
    saved(change, **options)
    assert refused("x.pth", *WORDS).startswith(f"error: x.pth: {error}")


@pytest.mark.parametrize(
    ("image", "layers", "error"),
    [
        ("3x32x32", LAYERS, "gives 512 features (8x8x8) for the first linear layer, but the file's needs 72; --image 3x12x12 would fit"),
        ("3x12x12", LAYERS.replace("maxpool fc", "fc"), "gives 288 features (8x6x6) for the first linear layer, but the file's needs 72; --image 3x6x6 would fit"),
        ("3x12x12", LAYERS.replace("8*2", "7*2"), "gives 63 features (7x3x3) for the first linear layer, but the file's needs 72; no square image fits 7 channels and 2 maxpool"),
        ("3x12x12", LAYERS.replace("maxpool fc", "maxpool3 fc"), "gives 32 features (8x2x2) for the first linear layer, but the file's needs 72; --image 3x18x18 would fit"),
    ],
)  # fmt: skip
def test_an_image_that_does_not_fit_is_told_with_one_that_would(folder, image, layers, error):
    told = refused("x.pth", "--layers", layers, "--image", image, *NORMALIZATION)
    assert told.startswith(f"error: x.pth: --image {image}: {error}, or write --layers in the order")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--layers", LAYERS, *NORMALIZATION], "x.pth: --image: required with --layers; write for example --image 3x32x32"),
        (["--layers", LAYERS, "--image", "3x12", *NORMALIZATION], "x.pth: --image 3x12: must be channels, height and width; write"),
        (["--layers", LAYERS, "--image", "3x12x12"], "x.pth: --mean and --std: are missing; give the normalization of the network's images, on the 0-1 scale; without normalization: --mean 0 0 0 --std 1 1 1"),
        (["--layers", LAYERS, "--image", "3x12x12", "--mean", "0.5", "--std", "1"], "x.pth: mean: 0.5 must be 3 numbers, one for each channel"),
        (["--layers", "conv3-", "--image", "3x12x12", *NORMALIZATION], 'x.pth: layers[0]: "conv3-" has no channel count; write for example conv3-256'),
        (["--layers", LAYERS.replace("conv3-6", "conv2-6"), *WORDS[2:]], 'x.pth: layers[0]: "conv2-6" has an even kernel; only odd ones keep height and width, write for example conv3-6'),
        (["--layers", LAYERS.replace("conv3-8*2", "conv10-8*2"), *WORDS[2:]], 'x.pth: layers[2]: "conv10-8*2" has an even kernel; only odd'),
        (["--layers", f"whiten3-6 {LAYERS}", *WORDS[2:]], 'x.pth: layers[0]: "whiten3-6" has weights that follow from the training images; write for example conv3-6'),
        (["--layers", LAYERS, "--image", "3x2x2", *NORMALIZATION], "x.pth: layer 5 of"),
        (["--image", "3x12x12"], "--image 3x12x12: requires --layers; torchvision's networks take 3x224x224"),
        ([*WORDS, "--key", "ema"], "x.pth: --key ema: no such state dict; use the whole file: omit --key"),
    ],
    ids=range(11),
)  # fmt: skip
def test_options_about_a_plain_network_are_checked(folder, words, error):
    assert refused("x.pth", *words).startswith(f"error: {error}")


def test_names_of_models_are_made_of_those_of_files():
    assert model_name("checkpoint epoch=3 (best)") == "checkpoint-epoch-3-best"
    assert model_name("a" * 50) == "a" * 32
    assert model_name("größe") == "gr-e"
    assert model_name("...") == "imported"
