"""The comparison of arms at equal FLOPs: what they train, cost, and how runs are kept and compared."""

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import make_colored
from dvc_project import ROOT

from benchmarks import accuracy_for_compute
from benchmarks.accuracy import arms as arms_module
from benchmarks.accuracy import training
from benchmarks.accuracy.arms import Arm, load_comparison
from benchmarks.accuracy.runs import Run, find_row, hash_images, hash_settings, list_runs, read_rows, record
from benchmarks.accuracy.summary import draw, tabulate_arms, tabulate_differences
from benchmarks.accuracy.training import Result, count_statistics_flops, train_arm
from deepen.core.counts import pluralize
from deepen.core.errors import InputError
from deepen.data.images import ImageSet
from deepen.models.layers import count_training_flops, plan

CPU = torch.device("cpu")
MAKER = {"device": "cpu", "torch": torch.__version__}
PARAMS = str(ROOT / "params.yaml")
WIDTH = 0.03125
BUDGET = 0.00002  # PFLOP
LADDER = Arm(params=PARAMS, width=WIDTH, changes={"threads": 1})
PEER = Arm(peer="sgd", width=0.0625, changes={"batch_size": 20})


IMAGES, TEST = (make_colored(np.random.default_rng(seed), count, 32) for seed, count in enumerate((60, 30)))


def write_arms(tmp_path, text):
    path = tmp_path / "arms.yaml"
    path.write_text(text)
    return path


def test_the_arms_of_the_file_are_valid(monkeypatch):
    monkeypatch.chdir(ROOT)
    comparison = load_comparison(accuracy_for_compute.ARMS)
    assert {float(budget): seeds for budget, seeds in comparison.budgets.items()} == {0.03: 5, 0.1: 4, 0.25: 4}
    runs = list(list_runs(comparison, "images"))
    assert len(runs) == 13 * len(comparison.arms)


@pytest.mark.parametrize("name", ["peer", "ladder", "rate", "skip", "fast", "width"])
def test_the_candidates_are_valid_and_differ(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    comparison = load_comparison(accuracy_for_compute.ARMS.with_name(f"{name}_candidates.yaml"))
    runs = [(run.budget, run.settings) for run in list_runs(comparison, "images")]
    assert len(set(runs)) * max(comparison.budgets.values()) == len(runs)
    assert len(runs) == sum(comparison.budgets.values()) * len(comparison.arms)


@pytest.mark.slow
def test_a_ladder_costs_its_budget_and_keeps_its_shares():
    result = train_arm(LADDER, BUDGET, 0, IMAGES, TEST, CPU)
    assert result.flops == pytest.approx(BUDGET * 1e15, rel=0.01)
    settings = LADDER.load_settings(BUDGET, 0)
    per_image = {
        name: count_training_flops(plan(model.layers, width=WIDTH, image=(3, 32, 32), classes=3))
        for name, model in settings.models.items()
    }
    seen = len(IMAGES) // settings.batch_size(len(IMAGES)) * settings.batch_size(len(IMAGES))
    spent = sum(seen * epochs * per_image[name] for name, epochs in result.epochs.items())
    assert count_statistics_flops(IMAGES) + spent == pytest.approx(result.flops)
    usual = {name: settings.epochs(name, len(IMAGES)) for name in settings.models}
    shares = [result.epochs[name] / usual[name] for name in usual]
    assert shares == pytest.approx([shares[0]] * 3, rel=0.05)
    assert result.averaged > 60


def test_statistics_cost_sums_and_products_of_pixels_and_of_patches():
    images = ImageSet(np.zeros((5, 3, 6, 4), np.uint8), np.zeros(5, np.int64), ("a", "b"))
    pixels, patches = 5 * 6 * 4, 5 * 4 * 2
    assert count_statistics_flops(images) == pixels * (3 + 2 * 6) + patches * (27 + 2 * 27 * 28 // 2)


@pytest.mark.slow
def test_a_model_from_scratch_has_the_whole_budget():
    arm = LADDER.model_copy(update={"models": ["III"]})
    settings = arm.load_settings(BUDGET, 0)
    assert settings.models["III"].after == "scratch"
    assert settings.peak_lr("III") == settings.training.lr  # not that of a grown model
    result = train_arm(arm, BUDGET, 0, IMAGES, TEST, CPU)
    assert list(result.epochs) == ["III"]
    assert result.flops == pytest.approx(BUDGET * 1e15, rel=0.01)


def test_the_models_of_an_arm_grow_from_each_other():
    models = LADDER.model_copy(update={"models": ["I", "III"]}).load_settings(BUDGET, 0).models
    assert [(name, model.after) for name, model in models.items()] == [("I", "scratch"), ("III", "I")]


@pytest.mark.slow
def test_the_peer_costs_its_budget():
    result = train_arm(PEER, BUDGET, 0, IMAGES, TEST, CPU)
    assert BUDGET * 0.99e15 < result.flops <= BUDGET * 1e15
    assert list(result.epochs) == ["peer"]


@pytest.mark.slow
def test_equal_seeds_give_equal_results():
    first, same = (train_arm(LADDER, BUDGET, 3, IMAGES, TEST, CPU) for _ in range(2))
    assert (first.flops, first.single, first.averaged) == (same.flops, same.single, same.averaged)


def test_a_budget_below_a_step_of_each_model_is_an_error():
    with pytest.raises(
        InputError, match=r"whole steps take .* PFLOP, and the budget is 1e-08; raise it or make batches smaller"
    ):
        train_arm(LADDER, 1e-8, 0, IMAGES, TEST, CPU)


def test_steps_that_leave_much_of_a_budget_are_an_error():
    with pytest.raises(
        InputError, match=r"whole steps take 1.46e-06 PFLOP, and the budget is 1.7e-06; raise it or make"
    ):
        train_arm(PEER.model_copy(update={"changes": {"batch_size": 60}}), 1.7e-6, 0, IMAGES, TEST, CPU)


def test_the_peer_takes_images_of_cifar_only():
    small = ImageSet(IMAGES.images[:, :, :8, :8], IMAGES.labels, IMAGES.classes)
    with pytest.raises(InputError, match="the peer takes images of 3x32x32, got 3x8x8; leave it out"):
        train_arm(PEER, BUDGET, 0, small, small, CPU)


def test_width_and_params_may_differ_by_budget():
    arm = Arm(params={"0": PARAMS, "0.2": "other.yaml"}, width={"0.03": 0.125, "0.1": 0.25})
    assert [arm.get_width(budget) for budget in (0.03, 0.05, 0.1, 3)] == [0.125, 0.125, 0.25, 0.25]
    assert arm.load_settings(0.1, 0).network_width == 0.25
    with pytest.raises(InputError, match=r"other.yaml: can't be read"):
        arm.load_settings(0.2, 0)
    with pytest.raises(InputError, match=r"no value for a budget of 0.01 PFLOP; the least is 0.03, lower it"):
        arm.get_width(0.01)


def test_changes_apply_to_settings_and_to_the_peer():
    arm = Arm(params=PARAMS, changes={"recipes.onecycle.training.batch_size": 500, "lr": 0.02})
    settings = arm.load_settings(0.1, 7)
    assert (settings.training.batch_size, settings.lr, settings.seed) == (500, 0.02, 7)
    assert PEER.load_recipe(0.1).batch_size == 20


def test_models_may_differ_by_budget():
    arm = Arm(params=PARAMS, models={"0": ["I", "II"], "0.1": ["III"]})
    assert [list(arm.load_settings(budget, 0).models) for budget in (0.03, 0.1)] == [["I", "II"], ["III"]]


def test_changes_may_differ_by_budget():
    arm = Arm(peer="muon", changes={"0": {"batch_size": 500, "filter_lr": 0.12}, "0.2": {}})
    assert [arm.load_recipe(budget).batch_size for budget in (0.03, 0.1, 0.25)] == [500, 500, 2000]


@pytest.mark.parametrize(
    ("arm", "fault"),
    [
        (
            {"changes": {"recipe.training.lr": 1}},
            r"changes.recipe.training.lr: .*params.yaml has no section 'recipe'; use the path of",
        ),
        ({"changes": {"lr.peak": 1}}, r"changes.lr.peak: .*params.yaml has no section 'lr'; use the path of one"),
        ({"changes": {"lr": "high"}}, "params.yaml: lr: must be a number or auto"),
        ({"models": ["I", "V"]}, r"models: unknown model 'V'; .*params.yaml has I, II, III"),
        ({"models": ["I", "II", "I"]}, "models: I is named 2 times; name each model once"),
        ({"changes": {"data": "digits"}}, "changes.data: images are those of the command line; remove it"),
        ({"changes": {"seed": 5}}, "changes.seed: seeds are counted by the budget; remove it"),
        ({"changes": {"precision": "float32"}}, "changes.precision: write it beside changes; remove it"),
        ({"changes": {"width": 0.5}}, "changes.width: write it beside changes; remove it"),
        (
            {"changes": {"models.I.start": "imports/x-01234567.safetensors"}},
            "models.I.start: every arm starts untrained; remove start",
        ),
        (
            {"changes": {"recipes.onecycle.training.patience": 1}},
            "recipes.onecycle.training.patience: early stopping needs validation images, and there are none; set none",
        ),
        (
            {"changes": {"recipe": "published"}},
            "recipes.published.training.schedule.name: plateau needs validation images, and there are none; use onecyc",
        ),
    ],
)
def test_invalid_settings_of_an_arm_are_errors(arm, fault):
    with pytest.raises(InputError, match=fault):
        Arm(params=PARAMS, **arm).load_settings(0.1, 0)


def test_a_params_file_without_settings_is_an_error(tmp_path):
    path = tmp_path / "list.yaml"
    path.write_text("- a\n")
    with pytest.raises(InputError, match=r"list.yaml: must be a mapping of settings; name a params.yaml"):
        Arm(params=str(path)).load_settings(0.1, 0)


@pytest.mark.parametrize(
    ("arm", "fault"),
    [
        ({"peer": "sgd", "changes": {"lr": 1}}, "changes.lr: unknown key"),
        (
            {"peer": "sgd", "changes": {"batch_size": 0}},
            "changes.batch_size: must be greater than or equal to 1, got 0",
        ),
        ({"peer": "sgd", "changes": {"filter_lr": 0}}, "changes.filter_lr: must be greater than 0, got 0"),
        (
            {"peer": "sgd", "changes": {"skip_easy": -1}},
            "changes.skip_easy: must be greater than or equal to 0, got -1",
        ),
        ({"peer": "sgd", "changes": {"label_smoothing": 2}}, "changes.label_smoothing: must be less than or equal to"),
        (
            {"peer": "sgd", "params": PARAMS},
            "params: the peer has its own network and settings; remove params or peer",
        ),
        ({"peer": "sgd", "models": ["I"]}, "models: the peer has its own network and settings; remove models or peer"),
        (
            {"peer": "sgd", "changes": {"batch_size": "big"}},
            "changes.batch_size: must be a whole number, got the string 'big'",
        ),
    ],
)
def test_invalid_settings_of_the_peer_are_errors(arm, fault):
    with pytest.raises(InputError, match=fault):
        Arm(**arm).load_recipe(0.1)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("- a\n", "arms.yaml: must be a mapping with budgets and arms; see the file beside this program"),
        ('budgets: {"0.03": 5}\narms: {a: {widht: 1.0}}\n', "arms.yaml: arms.a.widht: unknown key"),
        (
            'budgets: {"much": 5}\narms: {a: {}}\n',
            "arms.yaml: budgets.much: must be a number of PFLOP above 0, got the string 'much'",
        ),
        ('budgets: {"0.00": 5}\narms: {a: {}}\n', "arms.yaml: budgets.0.00: must be a number of PFLOP above 0, got"),
        ('budgets: {"0.1": 5, "0.10": 2}\narms: {a: {}}\n', "arms.yaml: budgets: must have each budget once, got"),
        (
            'budgets: {"0.1": 5}\narms: {a: {width: {"1": 1.0, "1.0": 0.5}}}\n',
            "arms.yaml: arms.a.width: must have each budget once, got",
        ),
        (
            'budgets: {"0.1": 5}\narms: {a: {width: 0}}\n',
            "arms.yaml: arms.a.width: must be greater than 0, got 0; write for example width: 0.25$",
        ),
        (
            'budgets: {"0.1": 5}\narms: {a: {width: {"1": -1}}}\n',
            "arms.yaml: arms.a.width.1: must be greater than 0, got -1",
        ),
        (
            'budgets: {"0.1": 5}\narms: {a: {models: I}}\n',
            r"arms.yaml: arms.a.models: must be a list, got the string 'I'; write for example models: \[I, II, III\]$",
        ),
        (
            'budgets: {"0.1": 5}\narms: {a: {peer: adam}}\n',
            "arms.yaml: arms.a.peer: must be 'sgd' or 'muon', got the string 'adam'",
        ),
        (
            'budgets: {"0.03": 5}\narms: {a: {against: [b]}}\n',
            "arms.yaml: arms.a.against: unknown arm 'b'; use one of a",
        ),
    ],
)
def test_invalid_files_of_arms_are_errors(tmp_path, text, fault):
    with pytest.raises(InputError, match=fault):
        load_comparison(write_arms(tmp_path, text))


def make_comparison(tmp_path, width="0.5"):
    return load_comparison(
        write_arms(
            tmp_path,
            f'budgets: {{"0.1": 1, "0.03": 2}}\narms: {{a: {{peer: sgd, width: {width}}}, b: {{peer: muon}}}}\n',
        )
    )


def test_runs_go_seed_by_seed_and_small_budgets_first(tmp_path):
    runs = [(run.seed, run.budget, run.arm) for run in list_runs(make_comparison(tmp_path), "images")]
    assert runs == [(0, 0.03, "a"), (0, 0.03, "b"), (0, 0.1, "a"), (0, 0.1, "b"), (1, 0.03, "a"), (1, 0.03, "b")]


def test_a_recorded_run_is_found_unless_its_arm_or_images_changed(tmp_path):
    path, result = tmp_path / "new/runs.jsonl", Result(1e12, 2.0, {"peer": 3.0}, 90.0, 91.0)
    run = next(list_runs(make_comparison(tmp_path), hash_images(IMAGES, TEST)))
    assert read_rows(path) == []
    row = record(path, run, result, 60, CPU)
    assert read_rows(path) == [row]
    assert find_row(run, read_rows(path)) == row
    assert row["averaged"] == 91.0
    assert row["device"].endswith(f", {pluralize(torch.get_num_threads(), 'thread')}")
    wider = next(list_runs(make_comparison(tmp_path, "0.75"), hash_images(IMAGES, TEST)))
    others = next(list_runs(make_comparison(tmp_path), hash_images(TEST, IMAGES)))
    assert find_row(wider, read_rows(path)) is find_row(others, read_rows(path)) is None


@pytest.mark.parametrize(
    ("path", "value", "same"),
    [
        ("datasets.digits.flip", True, True),
        ("datasets.folder.width", 0.5, True),
        ("recipes.published.training.lr", 0.5, True),
        ("device", "cuda", True),
        ("val_fraction", 0.5, True),
        ("checkpoint_seconds", 1, True),
        ("datasets.folder.flip", False, False),
        ("recipes.onecycle.training.lr", 0.5, False),
        ("recipes.onecycle.evaluation.flip_averaging", False, False),
        ("models.I.epochs", 1, False),
    ],
)
def test_a_recorded_run_stays_that_of_its_arm_where_settings_change_that_it_does_not_train_with(path, value, same):
    changed = LADDER.model_copy(update={"changes": {**LADDER.changes, path: value}})
    assert (hash_settings(changed, BUDGET) == hash_settings(LADDER, BUDGET)) == same


def test_the_width_of_a_data_set_counts_where_the_arm_has_none():
    one, other = (Arm(params=PARAMS, changes={"datasets.folder.width": width}) for width in (0.5, 0.25))
    assert hash_settings(one, BUDGET) != hash_settings(other, BUDGET)


def make_row(**changes):
    run = Run("a", 0.1, 0, "0" * 12, "1" * 12)
    return run.key | asdict(Result(1e12, 2.0, {"I": 3.0}, 90.0, 91.0)) | {"training_images": 60} | MAKER | changes


def test_a_run_is_recorded_on_a_line_of_its_own_below_a_line_without_an_end(tmp_path):
    path = tmp_path / "runs.jsonl"
    path.write_text(json.dumps(make_row()))
    for seed in (1, 2):
        record(path, Run("a", 0.1, seed, "0" * 12, "1" * 12), Result(1e12, 2.0, {}, 90.0, 91.0), 60, CPU)
    assert [row["seed"] for row in read_rows(path)] == [0, 1, 2]


@pytest.mark.parametrize("line", ["{", "[1]", '{"arm": "a"}', json.dumps(make_row(averaged="ninety"))])
def test_a_line_that_is_not_a_run_is_an_error(tmp_path, line):
    path = tmp_path / "runs.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(InputError, match=r"runs.jsonl: line 1 is not a run of this program; remove that line"):
        read_rows(path)


def test_a_file_of_runs_that_cannot_be_read_is_an_error(tmp_path):
    path = tmp_path / "runs.jsonl"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"runs.jsonl: can't be read \(not UTF-8 text, .*\); name another file"):
        read_rows(path)
    with pytest.raises(InputError, match=r"can't be read \(Is a directory\); name another file"):
        read_rows(tmp_path)
    with pytest.raises(InputError, match=r"/dev/full: .*; name a file such as runs.jsonl"):
        read_rows(Path("/dev/full"))


def make_runs(**arms):
    """Rows of two budgets; each arm has lists of averaged top-1 by seed, one for each budget."""
    return pd.DataFrame(
        {
            "arm": name,
            "budget": budget,
            "seed": seed,
            "flops": budget * 1e15,
            "seconds": 10.0 * len(name),
            "single": top1 - 1,
            "averaged": top1,
        }
        for name, budgets in arms.items()
        for budget, values in zip((0.1, 0.4), budgets, strict=True)
        for seed, top1 in enumerate(values)
    )


def test_the_table_has_a_row_for_each_arm_and_budget():
    table = tabulate_arms(make_runs(a=[[80.0, 82.0], [90.0, 90.0]], bb=[[70.0, 71.0], [75.0, 76.0]]))
    assert table["arm"].tolist() == ["a", "bb", "a", "bb"]
    assert table["averaged views"].tolist() == [81.0, 70.5, 90.0, 75.5]
    assert table["one view"].tolist() == [80.0, 69.5, 89.0, 74.5]
    assert table["time, a = 1"].tolist() == [1, 2, 1, 2]
    assert table["PFLOP"].tolist() == pytest.approx([0.1, 0.1, 0.4, 0.4])


def test_times_are_relative_to_the_first_arm_of_the_table_only():
    runs = make_runs(a=[[80.0], [90.0]], bb=[[70.0], [75.0]])
    table = tabulate_arms(runs.drop(1))  # a's run of the larger budget
    assert table["time, a = 1"].fillna(0).tolist() == [1, 2, 0]


def test_differences_are_paired_by_seed():
    runs = make_runs(a=[[80.0, 90.0, 70.0], [81.0, 91.0, 71.0]], b=[[79.0, 89.0, 69.0], [81.0, 91.0, 70.0]])
    table = tabulate_differences(runs.drop(5), {"a": ["b"]})  # a's last run is missing
    assert table["averaged views"].tolist() == [1.0, 0.0]
    assert table["+- averaged views"].tolist() == [0.0, 0.0]
    assert table["seeds"].tolist() == [3, 2]
    assert tabulate_differences(runs, {"a": ["c"]}).empty


def test_the_flops_to_equal_another_arm_are_read_off_the_arms_own_means():
    runs = make_runs(a=[[80.0, 80.0], [90.0, 90.0]], b=[[70.0, 70.0], [85.0, 85.0]])
    table = tabulate_differences(runs, {"a": ["b"], "b": ["a"]})
    found = dict(zip(zip(table["arm"], table["budget"], strict=True), table["FLOPs to equal it"], strict=True))
    assert found[("a", 0.4)] == pytest.approx(0.5)  # halfway between 80 and 90: the geometric mean of 0.1 and 0.4
    assert np.isnan(found[("a", 0.1)])  # 70 is below all of its means
    assert found[("b", 0.1)] == pytest.approx(4 ** (10 / 15))
    assert np.isnan(found[("b", 0.4)])


def test_an_arm_that_does_not_gain_has_no_flops_to_equal_another():
    runs = make_runs(a=[[80.0], [79.0]], b=[[79.5], [79.5]])
    assert tabulate_differences(runs, {"a": ["b"]})["FLOPs to equal it"].isna().all()


def test_the_figure_has_a_line_for_each_arm():
    (axes,) = draw(make_runs(a=[[80.0, 82.0], [90.0, 90.0]], b=[[70.0, 71.0], [75.0, 76.0]])).axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]
    assert axes.containers[0].lines[0].get_ydata().tolist() == [81.0, 90.0]


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Call the program on the images above with a file of arms; return the paths that it writes."""
    monkeypatch.setattr(accuracy_for_compute, "load_real_images", lambda path: (IMAGES, TEST))
    monkeypatch.setattr(accuracy_for_compute, "THREADS", 1)
    arms = write_arms(
        tmp_path,
        f'budgets: {{"{BUDGET:f}": 2}}\narms:\n'
        f"  ladder: {{params: {PARAMS}, width: {WIDTH}, changes: {{threads: 1}}, against: [scratch]}}\n"
        f"  scratch: {{params: {PARAMS}, width: {WIDTH}, models: [III], changes: {{threads: 1}}}}\n",
    )
    runs = tmp_path / "runs.jsonl"

    def run(*arguments):
        command = ["program", "images", "--arms", str(arms), "--runs", str(runs), "--device", "cpu", *arguments]
        monkeypatch.setattr(sys, "argv", command)
        accuracy_for_compute.main()
        return runs

    return run


@pytest.mark.slow
def test_a_comparison_is_recorded_and_goes_on(call, capsys, monkeypatch):
    runs = call("--seeds", "1")
    assert len(runs.read_text().splitlines()) == 2
    first = runs.read_text()
    call()  # the second seed too
    assert runs.read_text().startswith(first)
    assert [json.loads(line)["seed"] for line in runs.read_text().splitlines()] == [0, 0, 1, 1]
    monkeypatch.setattr(accuracy_for_compute, "train_arm", None)
    before, _ = runs.read_text(), capsys.readouterr()
    call()
    printed = capsys.readouterr().out
    assert runs.read_text() == before
    assert "Trained on 54 images with precision auto, scored on 30 test images, " in printed
    assert "| ladder | scratch |" in printed
    assert runs.with_suffix(".md").read_text() in printed
    assert runs.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_validation_scores_held_out_training_images_only(call, capsys, monkeypatch):
    scored = []

    def train(arm, budget, seed, images, test, device):
        scored.append((len(images), len(test), set(hashes(test)) <= set(hashes(IMAGES)) - set(hashes(images))))
        return Result(1e9, 1.0, {}, 50.0, 50.0)

    monkeypatch.setattr(accuracy_for_compute, "train_arm", train)
    call("--validation", "--only", "ladder")
    assert scored == [(54, 6, True)] * 2
    assert "scored on 6 held-out training images" in capsys.readouterr().out
    scored.clear()
    call("--all-images", "--only", "ladder")
    assert scored == [(60, 30, False)] * 2


def hashes(images):
    return [image.tobytes() for image in images.images]


def test_one_more_ladder_is_named_on_the_command_line(call, monkeypatch):
    trained = []

    def train(arm, budget, seed, images, test, device):
        trained.append((arm.params, budget, seed))
        return Result(1e9, 1.0, {}, 50.0, 50.0)

    monkeypatch.setattr(accuracy_for_compute, "train_arm", train)
    call("--arm", f"more={PARAMS}", "--only", "more", "--budgets", "0.5", "1", "--seeds", "1")
    assert trained == [(PARAMS, 0.5, 0), (PARAMS, 1.0, 0)]


def test_a_precision_is_that_of_all_arms_and_of_their_records(call, monkeypatch):
    trained = []

    def train(arm, *_):
        trained.append((arm.precision, arm.load_settings(BUDGET, 0).precision))
        return Result(1e9, 1.0, {}, 50.0, 50.0)

    monkeypatch.setattr(accuracy_for_compute, "train_arm", train)
    for _ in range(2):
        call("--seeds", "1", "--precision", "bfloat16")
    assert trained == [("bfloat16", "bfloat16")] * 2
    call("--seeds", "1", "--only", "ladder")
    assert trained[2:] == [("auto", "auto")]


def test_threads_are_those_of_the_command_line(call, monkeypatch):
    found = []

    def train(*_):
        found.append(torch.get_num_threads())
        return Result(1e9, 1.0, {}, 50.0, 50.0)

    monkeypatch.setattr(accuracy_for_compute, "train_arm", train)
    call("--seeds", "1", "--only", "ladder", "--threads", "2")
    assert found == [2]


def test_time_on_a_cpu_does_not_count_waiting(monkeypatch):
    def wait(*_):
        time.sleep(0.5)
        return BUDGET * 1e15, {}, lambda: (50.0, 50.0)

    monkeypatch.setattr(training, "_train_peer", wait)
    assert train_arm(PEER, BUDGET, 0, IMAGES, TEST, CPU).seconds < 0.25


@pytest.mark.parametrize("arm", [LADDER.model_copy(update={"models": ["III"]}), PEER], ids=["ladder", "peer"])
def test_a_training_computes_in_the_precision_of_its_arm(arm):
    found = set()

    def note(layer, _, outputs):
        if isinstance(layer, torch.nn.Conv2d):
            found.add(outputs.dtype)

    with torch.nn.modules.module.register_module_forward_hook(note):
        train_arm(arm.model_copy(update={"precision": "bfloat16"}), BUDGET / 4, 0, IMAGES, TEST, CPU)
    assert found == {torch.bfloat16}


def test_budgets_of_the_file_keep_their_seeds(call, monkeypatch):
    monkeypatch.setattr(accuracy_for_compute, "train_arm", lambda *_: Result(1e9, 1.0, {}, 50.0, 50.0))
    runs = call("--only", "ladder", "--budgets", f"{BUDGET:f}0", "0.5")
    assert [(json.loads(line)["budget"], json.loads(line)["seed"]) for line in runs.read_text().splitlines()] == [
        (BUDGET, 0),
        (0.5, 0),
        (BUDGET, 1),
    ]


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (
            ["--arm", "fast.yaml"],
            r"--arm: must be a name and a file, got fast.yaml; write for example --arm fast=fast.yaml",
        ),
        (["--only", "latter"], "--only: unknown arm 'latter'; use some of ladder, scratch"),
        (["--budgets", "-1"], "--budgets: must be a number of PFLOP above 0, got -1; write for example --budgets 0.03"),
        (["--budgets", "0"], "--budgets: must be a number of PFLOP above 0, got 0; write for example --budgets 0.03"),
        (["--budgets", "0.1", "0.10"], "--budgets: must have each budget once, got 0.1 0.10; write for example"),
        (["--seeds", "0"], "--seeds: must be at least 1, got 0; write for example 3"),
        (["--threads", "0"], "--threads: must be at least 1, got 0; write for example 1"),
        (
            ["--runs", "runs.md"],
            r"--runs: must end in .jsonl, got runs.md; the table and the figure beside it end in .md",
        ),
        (["--recorded"], "runs.jsonl: has none of these runs; leave out --recorded to train them"),
    ],
)
def test_invalid_arguments_are_errors(call, arguments, fault):
    if arguments[-1] == "-1":
        arguments = ["--budgets=-1"]
    with pytest.raises(InputError, match=fault):
        call(*arguments)


def test_a_failed_training_leaves_the_others(call, capsys, monkeypatch):
    def train(arm, budget, seed, images, test, device):
        if arm.models:
            raise InputError("III: the loss is nan")
        return Result(1e9, 1.0, {}, 50.0, 50.0)

    monkeypatch.setattr(accuracy_for_compute, "train_arm", train)
    with pytest.raises(InputError, match="2 of 4 trainings failed, see above; change their arms"):
        call()
    printed = capsys.readouterr().out
    assert "scratch, 2e-05 PFLOP, seed 0: error: III: the loss is nan" in printed
    assert "| ladder |" in printed


def record_ladder(call, monkeypatch, changes):
    """Record a run of the ladder with other fields; then a training is an error."""
    monkeypatch.setattr(accuracy_for_compute, "train_arm", lambda *_: Result(1e9, 1.0, {}, 50.0, 50.0))
    runs = call("--seeds", "1", "--only", "ladder")
    runs.write_text(json.dumps(json.loads(runs.read_text()) | changes) + "\n")
    monkeypatch.setattr(accuracy_for_compute, "train_arm", None)


@pytest.mark.parametrize("maker", [{"device": "NVIDIA H100"}, {"torch": "1.0"}], ids=["device", "torch"])
def test_runs_of_two_machines_are_refused_before_a_training(call, maker, monkeypatch):
    record_ladder(call, monkeypatch, maker)
    with pytest.raises(InputError, match=r"runs.jsonl: runs of different machines, whose times differ: .*; name anoth"):
        call()


def test_recorded_runs_are_shown_without_a_training_on_any_machine(call, capsys, monkeypatch):
    record_ladder(call, monkeypatch, {"device": "NVIDIA H100"})
    call("--recorded")
    printed = capsys.readouterr().out
    assert "scored on 30 test images, NVIDIA H100." in printed
    assert "| ladder |" in printed


def test_every_field_of_an_arm_is_explained_in_the_file():
    text = accuracy_for_compute.ARMS.read_text()
    assert not [name for name in arms_module.Arm.model_fields if f"#   {name}:" not in text]
