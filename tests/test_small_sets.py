"""The benchmark of small sets: what is cut and drawn, what is run again, and what its table says."""

import json
from collections import Counter

from conftest import photos, write_tree
from PIL import Image

from benchmarks import small_sets
from benchmarks.drawn_photos import draw_photos
from benchmarks.photo_sets import PhotoSet, load_set
from benchmarks.small_sets import SETTINGS, Setting, is_current, missing_runs, settings_for, table, train_ladder

TINY = PhotoSet("tiny", 30, 2, True)


def run(setting, seed, batch=16, steps=429, **top1):
    return {"set": "600", "setting": vars(setting), "seed": seed, "images": 540, "batch size": batch,
            "steps": dict.fromkeys(("I", "II", "III"), steps), "top1": top1}  # fmt: skip


def test_classes_are_equal_or_each_rarer_than_the_one_before():
    assert PhotoSet("a", 600, 5, False).counts() == [120] * 5
    assert PhotoSet("b", 200, 3, True).counts() == [109, 55, 36]


def test_a_set_is_cut_out_of_a_folder_and_read_as_one(tmp_path):
    source = write_tree(tmp_path / "all", photos(train=25, test=6, classes=("cat", "dog", "owl"), size=(40, 36)))
    train, test = load_set(TINY, source, settings_for(Setting(), 0, 30))
    assert sorted(Counter(train.labels.tolist()).values()) == [9, 18]  # of 20 and 10, a tenth for validation
    assert Counter(test.labels.tolist()) == {0: 6, 1: 6}
    assert train.shape == (3, 32, 32)
    again, _ = load_set(TINY, source, settings_for(Setting(), 0, 30))
    assert (again.images == train.images).all()


def test_photos_are_drawn_in_several_sizes_and_modes_and_the_same_again(tmp_path):
    for name in ("one", "other"):
        draw_photos(tmp_path / name, [12, 3], "train")
    files = sorted((tmp_path / "one").rglob("*.png"))
    assert [len(list(folder.iterdir())) for folder in sorted((tmp_path / "one").iterdir())] == [12, 3]
    found = []
    for file in files:
        with Image.open(file) as image:
            found.append((image.size, image.mode))
    sizes, modes = map(set, zip(*found, strict=True))
    assert len(sizes) > 10
    assert len(modes) > 2
    assert all(
        file.read_bytes() == (tmp_path / "other" / file.relative_to(tmp_path / "one")).read_bytes() for file in files
    )


def test_a_setting_by_hand_is_taken_and_auto_is_left_alone():
    auto, by_hand = settings_for(Setting(), 1, 540), settings_for(Setting(32, 100, 0.01), 2, 540)
    assert (by_hand.batch_size(540), by_hand.steps("III", 540), by_hand.peak_lr("I")) == (32, 112, 0.01)
    assert auto.models["I"].epochs is auto.lr is auto.training.batch_size is None


def test_a_run_that_has_a_line_is_not_repeated():
    done, sets = [run(Setting(), 0), run(SETTINGS[1], 0)], [PhotoSet("600", 600, 5, False)]
    left = list(missing_runs(json.loads(json.dumps(done)), sets, 2))
    assert len(left) == 2 * 13 - 2
    assert [setting for _, setting, seed in left if seed == 0] == list(SETTINGS[2:])


def test_a_line_counts_only_while_auto_comes_to_the_same():
    resolved = settings_for(Setting(), 0, 540)
    assert is_current(run(Setting(), 0, resolved.batch_size(540), resolved.steps("I", 540)))
    assert not is_current(run(Setting(), 0, resolved.batch_size(540), resolved.steps("I", 540) + 1))
    assert is_current(run(Setting(32, 100, 0.01), 0, 32, 112))


def test_the_table_holds_auto_against_the_best_of_the_grid():
    runs = [run(setting, seed, I=50.0 + i, III=60.0 + seed) for i, setting in enumerate(SETTINGS) for seed in (0, 1)]
    first, last = table([*runs, run(Setting(), 2, I=0.0, III=0.0)])
    assert (first["model"], first["seeds"], first["auto"], first["best of the grid"], first["auto is behind by"]) == (
        "I",
        2,
        50,
        62,
        12,
    )
    assert first["its batch, steps, lr"] == "64, 1500, 0.03"
    assert last["auto is behind by"] == 0
    assert table(runs[2:]) == []


def test_each_model_is_trained_from_the_one_before(tmp_path, monkeypatch):
    monkeypatch.setattr(small_sets, "WIDTH", 0.0078125)
    source = write_tree(tmp_path / "all", photos(train=20, test=4, classes=("cat", "dog"), size=(32, 32)))
    settings = settings_for(Setting(9, 3, 0.01), 0, 27)
    found = train_ladder(settings, *load_set(TINY, source, settings))
    assert found["steps"] == {"I": 3, "II": 3, "III": 3}
    assert found["batch size"] == 9
    assert all(0 <= top1 <= 100 for top1 in found["top1"].values())
