import json
import sys
import time

import numpy as np
import pytest
import torch
from dvc_project import ROOT
from tensors import draw_he_weights
from torch.utils.data import DataLoader

from benchmarks import measure
from benchmarks.checkpoints import measure_cost
from benchmarks.data import make_noise_trainer, plan_model
from benchmarks.plain import (
    PlainImages,
    compute_plain_topk,
    make_plain_network,
    make_plain_optimizer,
    make_test_transform,
    make_training_transform,
    run_plain_epoch,
)
from benchmarks.statistics import compute_deepen_statistics, compute_plain_statistics
from deepen.core.errors import InputError
from deepen.data.statistics import compute_statistics
from deepen.evaluation.accuracy import evaluate
from deepen.models.layers import plan
from deepen.models.vgg import build_network

LAYERS = plan("conv3-8 maxpool conv3-8 fc-16", width=1, image=(3, 8, 8), classes=3)


def both(layers=LAYERS):
    """The plain network and ours with the same weights."""
    state = draw_he_weights(layers, seed=0, model="I")
    plain = make_plain_network(layers)
    plain.load_state_dict(dict(zip(plain.state_dict(), state.values(), strict=True)))
    return plain.eval(), build_network(layers, state).eval()


def test_a_params_file_without_the_measured_model_or_recipe_is_an_error(monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(
        InputError, match=r"params.yaml: has no model IX, which is measured; use that of the repository"
    ):
        plan_model("IX", 0.25)
    with pytest.raises(InputError, match=r"params.yaml: has no recipe fast, which is measured; use that of the reposi"):
        make_noise_trainer(None, "I", 0.25, "fast", epochs=1, device=torch.device("cpu"))


def test_a_benchmark_explains_itself_and_takes_no_other_words(monkeypatch, capsys):
    for words, code in ((["--help"], 0), (["more"], 2)):
        monkeypatch.setattr(sys, "argv", ["program", *words])
        with pytest.raises(SystemExit) as ended:
            measure.run_benchmark(lambda: pytest.fail("started"), "What it measures.")
        assert ended.value.code == code
    assert "What it measures." in capsys.readouterr().out


@pytest.mark.parametrize(
    "layers", [LAYERS, plan("whiten2-24 conv3-8 maxpool3 conv2-8 fc-16", width=1, image=(3, 8, 8), classes=3)]
)
def test_the_plain_network_is_the_same_but_for_its_softmax(layers):
    plain, ours = both(layers)
    images = torch.randn(5, 3, 8, 8)
    assert torch.allclose(plain(images), ours(images).softmax(1), atol=1e-6)


def test_both_count_the_same(colored):
    plain, ours = both()
    statistics = compute_statistics(colored.images)
    theirs = compute_plain_topk(
        plain, DataLoader(PlainImages(colored.images, colored.labels, make_test_transform(statistics)), 7), ks=[1, 2]
    )
    found = evaluate(ours, colored, torch.tensor(statistics.mean), flip_averaging=True, batch_size=7)
    assert theirs == pytest.approx([found.percent(1), found.percent(2)])


def test_the_plain_way_learns(colored):
    torch.manual_seed(0)
    plain = make_plain_network(LAYERS, dropout=0.0)
    dataset = PlainImages(
        colored.images, colored.labels, make_training_transform(compute_statistics(colored.images), 8)
    )
    batches, optimizer = DataLoader(dataset, 10, shuffle=True), make_plain_optimizer(plain)
    losses = [run_plain_epoch(plain, batches, optimizer) for _ in range(30)]
    assert losses[-1] < losses[0]


def test_both_statistics_agree(rng):
    images = rng.integers(0, 256, (50, 3, 8, 8), dtype=np.uint8)
    np.testing.assert_allclose(compute_plain_statistics(images), compute_deepen_statistics(images), rtol=1e-3)


def test_programs_take_turns_in_processes_of_their_own():
    found = measure.alternate({"once": (time.perf_counter, ()), "twice": (float, (2,))}, 2)
    assert found["twice"] == [2.0, 2.0]
    assert found["once"][0] != found["once"][1]


def test_the_table_is_printed_and_written_with_the_machine(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(measure, "RESULTS", tmp_path / "results")
    measure.report("speed", [{"program": "deepen", "ms": 1.23456}], batch=128)
    assert "1.235" in capsys.readouterr().out
    content = json.loads((tmp_path / "results/speed.json").read_text())
    assert content["rows"] == [{"program": "deepen", "ms": 1.23456}]
    assert content["settings"] == {"batch": 128}
    assert content["machine"]["torch"].startswith("2.")


def test_the_median_leaves_the_warm_up_out():
    pauses = iter([0.2, 0.0, 0.0, 0.0])
    assert measure.measure_median_seconds(lambda: time.sleep(next(pauses)), calls=3) < 0.1


def test_the_cost_of_checkpoints_is_of_those_that_are_saved():
    found = measure_cost(images=256, width=0.03125)
    assert found["checkpoints"] == 1  # at the end, after two epochs of a moment
    assert 0 < found["seconds saving"] < found["seconds"]
