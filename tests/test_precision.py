"""In which precision a network computes: chosen by an option, and named."""

import json
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import photos, write_tree
from dvc_project import ROOT
from tensors import draw_he_weights

import deepen
from deepen.cli import main
from deepen.config.settings import load_settings
from deepen.core.errors import InputError
from deepen.inference import checked_precision
from deepen.inference import classifier as module
from deepen.models.weights import ModelCard, save_weights
from deepen.runtime.device import choose_dtype, find_slow_precision
from deepen.runtime.group import SINGLE_PROCESS
from pipeline.train import _describe_device


@pytest.fixture
def weights(tmp_path):
    image, classes = (3, 8, 8), ("cat", "dog")
    card = ModelCard(
        model="I", layers="conv3-16 maxpool fc-16", width=1.0, image=image, classes=classes, mean=(0.4,) * 3, flip=True
    )
    path = tmp_path / "I.safetensors"
    save_weights(path, draw_he_weights(card.plan(), seed=0, model="I"), card)
    return path


def test_a_network_predicts_in_the_precision_that_is_asked_for(weights, rng):
    pixels = rng.integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    found = {name: deepen.load(weights, "cpu", precision=name) for name in ("auto", "float32", "bfloat16")}
    assert {name: network.precision for name, network in found.items()} == {
        "auto": "float32",
        "float32": "float32",
        "bfloat16": "bfloat16",
    }
    auto, full, half = (network.predict(pixels) for network in found.values())
    assert np.array_equal(auto, full)
    assert not np.array_equal(half, full)
    np.testing.assert_allclose(half, full, atol=0.05)


def test_auto_asks_the_device(weights, monkeypatch):
    monkeypatch.setattr(checked_precision, "choose_dtype", lambda precision, device: torch.bfloat16)
    network = deepen.load(weights, "cpu")
    assert network.precision == "bfloat16"
    assert repr(network).endswith("on cpu in bfloat16>")


@pytest.mark.parametrize(
    ("precision", "got"), [("float16", "the string 'float16'"), (None, "nothing"), (torch.float32, "torch.float32")]
)
def test_an_unknown_precision_is_an_error(weights, precision, got):
    with pytest.raises(InputError) as error:
        deepen.load(weights, "cpu", precision=precision)
    rule = "precision: must be one of auto, float32, bfloat16, got "
    assert str(error.value) == f"{rule}{got}; write for example float32"


@pytest.mark.parametrize("precision", ["auto", "float32", "bfloat16"])
def test_evaluate_computes_in_it_and_names_it(weights, tmp_path, capsys, monkeypatch, precision):
    data, types, real = write_tree(tmp_path / "data", photos(train=0)), [], module.evaluate
    monkeypatch.setattr(
        module, "evaluate", lambda *args, **options: types.append(options["dtype"]) or real(*args, **options)
    )
    words = ["evaluate", str(weights), str(data), "--device", "cpu", "--precision", precision]
    main(words)
    name = precision.replace("auto", "float32")
    assert f"4 images of test/, accuracy in percent, computed in {name}; balanced" in capsys.readouterr().out
    main([*words, "--json"])
    assert json.loads(capsys.readouterr().out)["precision"] == name
    assert types == [getattr(torch, name)] * 2


def test_predict_computes_in_it(weights, tmp_path, capsys):
    photo = write_tree(tmp_path, photos(train=0, test=1)) / "test/cat/000.png"
    shares = []
    for precision in ("auto", "float32", "bfloat16"):
        main(["predict", str(weights), str(photo), "--device", "cpu", "--precision", precision, "--json"])
        (row,) = json.loads(capsys.readouterr().out)
        shares.append(str(row))
    assert shares[0] == shares[1] != shares[2]


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_an_unknown_precision_on_the_command_line_is_an_error(weights, tmp_path, capsys, command):
    with pytest.raises(SystemExit) as exit:
        main([command, str(weights), str(tmp_path), "--precision", "float16"])
    assert exit.value.code == 2
    told = "error: --precision: must be one of auto, float32, bfloat16, got 'float16'; did you mean bfloat16?"
    assert capsys.readouterr().err.startswith(told)


@pytest.fixture
def cards(monkeypatch):
    """Two cards, of which only the second has units for bfloat16; the first emulates it."""
    current = [0]

    @contextmanager
    def use(device):
        before, current[0] = current[0], torch.device(device).index or 0
        yield
        current[0] = before

    monkeypatch.setattr(torch.cuda, "device", use)
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or current[0] == 1
    )


@pytest.mark.usefixtures("cards")
def test_each_card_is_asked_for_its_own_units():
    assert choose_dtype("auto", torch.device("cuda", 0)) == torch.float32
    assert choose_dtype("auto", torch.device("cuda", 1)) == torch.bfloat16


@pytest.mark.usefixtures("cards")
def test_bfloat16_on_a_card_that_emulates_it_is_told():
    told = "precision: cuda:0 only emulates bfloat16, slower than float32; use precision float32 or auto"
    assert find_slow_precision(torch.bfloat16, torch.device("cuda", 0)) == told
    assert find_slow_precision(torch.bfloat16, torch.device("cuda", 1)) is None
    assert find_slow_precision(torch.float32, torch.device("cuda", 0)) is None
    assert find_slow_precision(torch.bfloat16, torch.device("cpu")) is None


@pytest.mark.parametrize(
    ("device", "dtype", "end"),
    [
        ("cpu", torch.float32, "CPU threads (threads in params.yaml)"),
        ("cpu", torch.bfloat16, "CPU threads (threads in params.yaml) in bfloat16"),
        ("cuda", torch.bfloat16, "cuda in bfloat16"),
        ("cuda:1", torch.float32, "cuda:1 in float32"),
        ("mps", torch.float32, "mps in float32"),
    ],
)
def test_a_training_names_its_precision_beside_its_device(device, dtype, end):
    trainer = SimpleNamespace(device=torch.device(device), dtype=dtype)
    settings = load_settings(ROOT / "params.yaml")
    assert _describe_device(settings, trainer, SINGLE_PROCESS).endswith(end)
    group = SimpleNamespace(size=2)
    together = _describe_device(settings, trainer, group)
    assert together.startswith("2 processes, each on ")
    assert together.endswith("CPU threads" if (device, dtype) == ("cpu", torch.float32) else f"in {end.split()[-1]}")
