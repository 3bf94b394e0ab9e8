"""The table of a group of seeds as text, Markdown, CSV and a page."""

import csv
import io
from dataclasses import replace

import pandas as pd
import pytest
from made_up_ladders import ladder
from seed_runs import experiment, params

from deepen.core.errors import InputError
from deepen.experiments.baseline import plan_baseline
from deepen.report import vega
from deepen.report.seed_charts import plot_accuracies, plot_differences
from deepen.report.seed_page import render_seed_page
from deepen.report.seed_rows import format_excess, format_seed_csv, format_seed_text, list_notes
from deepen.seeds import table as seed_table
from deepen.seeds.group import list_ladder
from deepen.seeds.table import load_seed_table

RECORDS = ladder()[0]
TOP1 = {"a-seed-0": [80, 90, 95], "a-seed-1": [82, 91, 95.5], "a-seed-2": [81, None, 96]}
CACHED = {"I": RECORDS[:1], "II": RECORDS[:2], "III": RECORDS, "III-scratch": RECORDS}
SCRATCH = {"a-III-scratch-seed-0": 94.0, "a-III-scratch-seed-1": 94.25}


@pytest.fixture
def load(monkeypatch, tmp_path):
    """A function that loads the group a of some experiments, with made-up top-1 and compute."""

    def load_top1(project, experiments):
        rows = {}
        for each in experiments:
            if each.name in TOP1:
                rows[each.revision] = dict(zip(("I", "II", "III"), TOP1[each.name], strict=True))
            else:
                rows[each.revision] = {"III-scratch": SCRATCH[each.name]}
        return pd.DataFrame.from_dict(rows, orient="index", dtype=float)

    monkeypatch.setattr(seed_table, "load_top1", load_top1)
    monkeypatch.setattr(seed_table, "make_record_loader", lambda project: lambda each, model: CACHED.get(model))
    return lambda *runs: load_seed_table(tmp_path, "a", runs)


RUNS = [experiment(name, seed) for seed, name in enumerate(TOP1)]


def baselines(**changes):
    settings = plan_baseline(params(**changes), "III", RECORDS).settings
    return [experiment(name, **settings | {"seed": seed}) for seed, name in enumerate(SCRATCH)]


def test_seeds_that_only_the_baseline_has_are_counted_and_told(load):
    table = load(*[each for each in RUNS if not each.name.endswith("-0")], *baselines())
    assert table.seeds == [0, 1, 2]
    assert "I has no result with seed 0: its mean is over fewer seeds" in table.notes
    assert "3 seeds (0, 1, 2)" in " ".join(format_seed_text(table).split())


def test_models_are_compared_with_those_they_grew_from_and_with_their_baseline(load):
    table = load(*RUNS, *baselines())
    assert [each.model for each in table.models] == ["I", "II", "III", "III-scratch"]
    assert [(one, other, sample.values) for one, other, sample in table.differences()] == [
        ("II", "I", {0: 10, 1: 9}),
        ("III", "II", {0: 5, 1: 4.5}),
        ("III", "III-scratch", {0: 1, 1: 1.25}),
    ]
    assert table.notes == [
        "II has no result with seed 2: its mean is over fewer seeds",
        "III-scratch has no result with seed 2: its mean is over fewer seeds",
    ]
    said = format_seed_text(table)
    assert max(map(len, said.splitlines())) <= 80
    flat = " ".join(said.split())
    assert "Top-1 in percent on 898 test images of digits, 3 seeds (0, 1, 2). The 95 % interval over seeds" in flat
    assert "covers other seeds, not other test images." in flat
    assert "II gains 9.50 points over I (95 % interval over 2 seeds 3.15 to 15.85)." in flat
    assert "III-scratch was trained from scratch with the compute of the ladder." in flat
    assert "Note: II has no result with seed 2: its mean is over fewer seeds." in flat
    assert format_seed_text(table, "pipe").startswith("| model")


def test_each_seed_has_a_column_in_the_csv(load):
    rows = list(csv.DictReader(io.StringIO(format_seed_csv(load(*RUNS)))))
    assert [(row["model"], row["minus"]) for row in rows] == [("I", ""), ("II", ""), ("III", ""), ("II", "I"), ("III", "II")]  # fmt: skip
    assert (rows[1]["seed 1"], rows[1]["seed 2"], rows[1]["seeds"]) == ("91.0", "", "2")
    assert float(rows[0]["training FLOP"]) == RECORDS[0].flops
    assert {"seed interval low", "seed interval high"} < rows[0].keys()


def test_intervals_are_cut_in_tables_and_sentences_and_not_in_csv(load, monkeypatch):
    monkeypatch.setitem(TOP1, "a-seed-0", [40, 95, 10])
    monkeypatch.setitem(TOP1, "a-seed-1", [60, 98.123456, 99])
    table = load(*RUNS[:2])
    said = " ".join(format_seed_text(table).split())
    assert "II 2 seeds 96.56 76.72 to 100.00" in said
    assert "III - II 2 seeds -42.06 -100.00 to +100.00" in said
    assert "III is 42.06 points below II (95 % interval over 2 seeds -100.00 to 100.00): no clear difference." in said
    assert "Note: some intervals of top-1 are cut at 0 or 100 %: other values are impossible." in said
    assert "Note: an interval over two seeds reaches 6.4 times" in said
    rows = list(csv.DictReader(io.StringIO(format_seed_csv(table))))
    assert float(rows[1]["seed interval high"]) == round(table.models[1].top1.interval[1], 4) > 100
    assert rows[1]["seed 1"] == "98.1235"
    assert rows[1]["training FLOP"].isdigit()
    page = render_seed_page(table)
    assert "Note: some intervals of top-1 are cut" in page
    assert "76.72 to 100.00" in page


def test_the_axis_has_all_dots_on_a_third_of_it_at_least_and_nothing_impossible(load, monkeypatch):
    monkeypatch.setitem(TOP1, "a-seed-0", [90, 95, 97])
    monkeypatch.setitem(TOP1, "a-seed-1", [92, 96, 98])
    table = load(*RUNS[:2])
    for spec, values in ((plot_accuracies(table), (90, 98)), (plot_differences(table), (0, 5))):
        low, high = spec["layer"][-1]["encoding"]["y"]["scale"]["domain"]
        assert low <= values[0] < values[1] <= high
        assert values[1] - values[0] >= 0.33 * (high - low)
        assert high <= 100
        ends = [row[end] for row in spec["data"]["values"] for end in ("low", "high")]
        shapes = [layer["mark"].get("shape") for layer in spec["layer"]]
        assert ("triangle-down" in shapes) == (min(ends) < low)
        assert ("triangle-up" in shapes) == (max(ends) > high)
        assert {"triangle-down", "triangle-up"} & set(shapes)
        assert len(vega.draw(spec, "title")) > 1000


def test_a_warning_of_a_training_is_a_note(load, monkeypatch):
    last = RECORDS[-1]
    weak = replace(last, training=replace(last.training, warning="learned little; set more epochs"))
    monkeypatch.setitem(CACHED, "III-scratch", [weak])
    notes = list_notes(load(*RUNS, *baselines()))
    assert "III-scratch, seed 0: learned little; set more epochs; 2 of 2 seeds have a warning" in notes
    assert any(note.startswith("III-scratch has ") and "less compute than the ladder" in note for note in notes)
    assert not any("learned little" in note for note in list_notes(load(*RUNS)))
    assert "learned little" in render_seed_page(load(*RUNS, *baselines()))


def test_early_stops_of_the_ladder_are_a_note_beside_its_baseline(load, monkeypatch):
    early = replace(RECORDS[0].training, settings={**RECORDS[0].training.settings, "training": {"patience": 2}, "epochs": 50})  # fmt: skip
    monkeypatch.setitem(CACHED, "III", [replace(RECORDS[0], training=early), *RECORDS[1:]])
    assert any("patience (I: 4 of 50 epochs)" in note for note in list_notes(load(*RUNS, *baselines())))
    assert not any("patience" in note for note in list_notes(load(*RUNS)))


def test_models_have_the_order_of_their_tree(load):
    models = params()["models"]
    wide = models["II"] | {"after": "I"}
    order = {"I": models["I"], "wide": wide, "II": models["II"], "other": models["II"] | {"after": "wide"}}
    assert list(list_ladder({"models": order})) == ["I", "wide", "other", "II"]


def test_one_seed_is_said_in_words(load):
    table = load(RUNS[0])
    said = format_seed_text(table)
    assert "one seed (0): without an interval over seeds." in " ".join(said.split())
    assert "II is 10.00 points above I with one seed, which has no interval." in said
    assert said.splitlines()[1].split()[:4] == ["I", "one", "seed", "80.00"]
    page = render_seed_page(table)
    assert "Deepen: a over one seed" in page
    assert '"low":null' in page


def test_a_baseline_of_other_settings_is_left_out_with_a_note(load):
    table = load(*RUNS, *baselines(lr=0.5))
    assert [each.model for each in table.models] == ["I", "II", "III"]
    assert table.notes[0] == "a-III-scratch is left out: it differs in lr"


def test_a_group_of_which_nothing_is_evaluated_is_an_error(load, monkeypatch):
    monkeypatch.setattr(seed_table, "load_top1", lambda *_: pd.DataFrame())
    with pytest.raises(InputError, match="a: none of its models is evaluated; run deepen seeds with this --name again"):
        load(*RUNS)


def test_the_page_has_a_dot_for_each_seed_and_nothing_from_the_internet(load):
    table = load(*RUNS, *baselines())
    page = render_seed_page(table)
    assert page == render_seed_page(table)
    dots = page.partition('id="specs">')[2].partition("</script>")[0]
    assert dots.count('"value":') >= 8 + 6
    assert '"in ladder":false' in dots
    assert "src=" not in page.partition('<script type="application/json"')[0]
    assert "III - III-scratch" in page


def test_compute_beside_that_of_the_ladder():
    assert format_excess(100.0, 100.0) == "the compute of the ladder"
    assert format_excess(102.0, 100.0) == "2.00 % more compute than the ladder"
    assert format_excess(99.0, 100.0) == "1.00 % less compute than the ladder"
