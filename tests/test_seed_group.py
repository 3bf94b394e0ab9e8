"""Which experiments are a group of seeds, and what can't be compared."""

import csv
import io
import json
from dataclasses import replace

import pandas as pd
import pytest
from made_up_ladders import ladder
from seed_runs import experiment

from deepen.core.errors import InputError
from deepen.report.comparison_text import format_comparison, format_comparison_csv, format_comparison_json
from deepen.seeds import comparison
from deepen.seeds.comparison import compare_groups
from deepen.seeds.group import find_group

RUNS = [experiment(f"a-seed-{seed}", seed) for seed in (0, 1, 2)]


def find_error(*arguments):
    with pytest.raises(InputError) as error:
        find_group(*arguments)
    return list(error.value.faults)


class TestGroup:
    def test_members_are_those_of_deepen_seeds_else_the_name_else_a_grid(self):
        others = [experiment("a", 5), experiment("a-1", 6), experiment("a-2", 7), experiment("ab-seed-0", 8)]
        assert list(find_group("a", [*RUNS, *others]).members) == [0, 1, 2]
        assert list(find_group("a", others).members) == [5]
        assert list(find_group("a", others[1:]).members) == [6, 7]

    def test_an_experiment_without_results_is_left_out_with_a_note(self):
        failed = experiment("a-seed-3", 3, why="dvc.lock has no stage report")
        group = find_group("a", [*RUNS, failed])
        assert list(group.members) == [0, 1, 2]
        assert group.notes == ("a-seed-3 is left out: dvc.lock has no stage report",)
        assert find_error("a", [failed]) == [
            "a: none of its experiments has results (a-seed-3: dvc.lock has no stage report); run them again"
        ]

    def test_a_seed_that_was_run_twice_counts_once(self):
        again = replace(RUNS[1], name="a-seed-1", revision="x")
        group = find_group("a", [*RUNS, again])
        assert list(group.members) == [0, 1, 2]
        assert group.notes == ("a-seed-1 is left out: it has seed 1 and the results of a-seed-1",)
        assert find_error("a", [*RUNS, replace(again, metrics={"top1": 1.0})]) == [
            "a-seed-1 and a-seed-1 both have seed 1, and different results; leave out --all"
        ]
        assert find_error("a", [*RUNS, replace(again, name="a-seed-01", metrics={"top1": 1.0})]) == [
            "a-seed-01 and a-seed-1 both have seed 1, and different results; run dvc exp remove with one of the names"
        ]

    def test_experiments_that_differ_in_more_than_the_seed_have_no_mean(self):
        other = experiment("a-seed-3", 3, images="x", lr=0.01, models__II__epochs=9)
        assert find_error("a", [*RUNS, other]) == [
            "a: its experiments differ in lr (auto in a-seed-2, 0.01 in a-seed-3); a mean over seeds needs equal settings: run each with its own --name",
            "a: its experiments differ in models.II.epochs (auto in a-seed-2, 9 in a-seed-3); a mean over seeds needs equal settings: run each with its own --name",
            "a: its experiments have different images; a mean over seeds needs the same ones",
        ]

    def test_baselines_may_differ_in_the_epochs_that_follow_from_their_ladders(self):
        models = {"III-scratch": {"after": "scratch", "layers": "conv3-64 fc-512", "epochs": 3}}
        runs = [experiment(f"a-seed-{seed}", seed, depth="III-scratch", models=models) for seed in (0, 1)]
        runs[1].settings["models"] = {"III-scratch": {**models["III-scratch"], "epochs": 7}}
        group = find_group("a", runs)
        assert list(group.members) == [0, 1]
        assert group.notes == (
            "epochs of III-scratch: 3 with seed 0, 7 with seed 1; each has the compute of its own ladder",
        )
        runs[1].settings["models"]["III-scratch"]["layers"] = "conv3-128 fc-512"
        (error,) = find_error("a", runs)
        assert "differ in models.III-scratch.layers" in error

    def test_settings_without_effect_and_of_unused_data_may_differ(self):
        other = experiment("a-seed-3", 3, progress="quiet", datasets__folder__root="/x")
        assert len(find_group("a", [*RUNS, other]).members) == 4

    def test_another_version_of_the_code_is_a_note(self):
        group = find_group("a", [*RUNS, experiment("a-seed-3", 3, code="d")])
        assert group.notes == ("the experiments of a were made with different versions of the code",)

    @pytest.mark.parametrize(
        ("name", "others", "error"),
        [
            ("aa", 0, "aa: unknown experiment; use one of a, or run deepen seeds 0 1 2 --name aa"),
            ("a\n", 3, "'a\\n': unknown experiment; use one of a, or run deepen seeds 0 1 2 --name 'a\\n'; 3 experiments of other commits: add --all"),
        ],
    )  # fmt: skip
    def test_an_unknown_name_is_an_error_with_those_that_exist(self, name, others, error):
        assert find_error(name, RUNS, others) == [error]

    def test_an_experiment_without_a_seed_is_an_error(self):
        settings = {key: value for key, value in RUNS[0].settings.items() if key != "seed"}
        assert find_error("a", [replace(RUNS[0], settings=settings)]) == [
            "a-seed-0: its params.yaml has no seed; run it again with this version"
        ]


class TestComparison:
    @pytest.fixture
    def compare(self, monkeypatch, tmp_path):
        """A function that compares the groups a and b; top-1 of III is that of the experiment, of I ten less."""

        def load_top1(project, experiments):
            rows = {
                each.revision: {"I": each.metrics["top1"] - 10, "III": each.metrics["top1"]} for each in experiments
            }
            return pd.DataFrame.from_dict(rows, orient="index")

        def load(experiment, model):
            return records if experiment.name.startswith("a") else [*records, records[0]]

        records = ladder()[0]
        monkeypatch.setattr(comparison, "load_top1", load_top1)
        monkeypatch.setattr(comparison, "make_record_loader", lambda project: load)
        return lambda *runs, names=("a", "b"): compare_groups(tmp_path, names, runs)

    def test_models_are_paired_by_seed_and_seeds_of_one_group_are_left_out(self, compare):
        others = [experiment(f"b-seed-{seed}", seed, 91.0 + seed, lr=0.01) for seed in (1, 2, 5)]
        found = compare(*RUNS, *others)
        assert [(each.label, each.difference.values) for each in found.models] == [
            ("I", {1: 2.0, 2: 3.0}),
            ("III", {1: 2.0, 2: 3.0}),
        ]
        assert (found.models[1].first.mean, found.models[1].second.mean) == (90.0, 92.5)
        assert found.settings == ["lr: auto, 0.01"]
        assert found.notes == ["left out, since only a has it: seed 0", "left out, since only b has it: seed 5"]
        said = format_comparison(found)
        assert said.splitlines()[0].split()[:7] == ["model", "mean", "of", "a", "mean", "of", "b"]
        assert said.splitlines()[2].split()[:-2] == ["III", "90.00", "92.50", "2", "seeds", "+2.50", "-3.85", "to", "+8.85"]  # fmt: skip
        flat = " ".join(said.split())
        assert "III of b is 2.50 points above III of a (95 % interval over 2 seeds -3.85 to 8.85): no" in flat
        assert "Note: an interval over two seeds" in flat
        assert "Different settings: lr: auto, 0.01." in said
        assert "| III" in format_comparison(found, "pipe")
        assert format_comparison_csv(found).splitlines()[0].endswith("high,first FLOP,second FLOP,seed 1,seed 2")
        assert '"notes": [' in format_comparison_json(found)

    def test_one_seed_is_said_in_words_and_has_no_interval(self, compare):
        said = format_comparison(compare(RUNS[0], experiment("b", 0, 88.0)))
        assert said.splitlines()[2].split()[:7] == ["III", "90.00", "88.00", "one", "seed", "-2.00", "-"]
        assert "III of b is 2.00 points below III of a with one seed, which has no interval." in " ".join(said.split())
        assert "equal top-1 on average with one seed" in " ".join(
            format_comparison(compare(RUNS[0], experiment("b", 0, RUNS[0].metrics["top1"]))).split()
        )

    def test_models_that_depth_names_are_compared_if_they_differ(self, compare):
        found = compare(*RUNS, *(experiment(f"b-seed-{seed}", seed, depth="I") for seed in (0, 1)))
        assert found.models[-1].label == "I - III"
        assert found.models[-1].difference.values == {0: -10.0, 1: -10.0}
        assert found.settings == []
        assert "I of b loses 10.00 points against III of a" in " ".join(format_comparison(found).split())

    def test_the_compute_of_both_is_compared(self, compare, monkeypatch):
        records = ladder()[0]
        first = sum(record.flops for record in records)
        found = compare(*RUNS, *(experiment(f"b-seed-{seed}", seed) for seed in (0, 1)))
        assert found.models[0].flops == (first, first + records[0].flops)
        percent = f"{100 * records[0].flops / first:+.2f} %"
        assert format_comparison(found).splitlines()[1].endswith(f"  {percent}")
        assert "+2 % means that b took 2 % more." in " ".join(format_comparison(found).split())
        monkeypatch.setattr(comparison, "make_record_loader", lambda project: lambda *_: records)
        found = compare(*RUNS, experiment("b-seed-0"))
        assert format_comparison(found).splitlines()[1].endswith("  equal")
        monkeypatch.setattr(comparison, "make_record_loader", lambda project: lambda *_: None)
        found = compare(*RUNS, experiment("b-seed-0"))
        assert format_comparison(found).splitlines()[1].endswith("  not known")
        assert format_comparison_csv(found).splitlines()[1].split(",")[7:9] == ["", ""]

    def test_numbers_in_csv_and_json_have_four_decimals_and_intervals_are_as_computed(self, compare):
        others = [experiment(f"b-seed-{seed}", seed, top1) for seed, top1 in ((0, 1 / 3), (1, 66.666666))]
        found = compare(*RUNS, *others)
        low, high = found.models[1].difference.interval
        assert low < -100 < found.models[1].difference.mean
        assert "-100.00 to" in format_comparison(found)
        row = list(csv.DictReader(io.StringIO(format_comparison_csv(found))))[1]
        assert float(row["seed interval low"]) == round(low, 4)
        assert all(len(value.partition(".")[2]) <= 4 for value in row.values())
        assert json.loads(format_comparison_json(found))["models"][1]["seed interval high"] == round(high, 4)

    @pytest.mark.parametrize(
        ("other", "error"),
        [
            ([], "b: unknown experiment; use one of a, or run deepen seeds 0 1 2 --name b"),
            ([experiment("b-seed-7", 7)], "a and b: no seed in both (seeds 0, 1, 2; 7), which pairing needs; run deepen seeds 0 1 2 --name b"),
            ([experiment("b-seed-0", 0, images="a" * 32 + "x" * 32, data="cifar10")], "a and b: not comparable, they were tested on different images (data: digits and cifar10)"),
        ],
    )  # fmt: skip
    def test_groups_that_can_t_be_compared_are_one_error(self, compare, other, error):
        with pytest.raises(InputError) as raised:
            compare(*RUNS, *other)
        assert raised.value.faults == (error,)

    @pytest.mark.parametrize(
        ("names", "error"),
        [
            (("a", "a"), "a: named twice; name two groups of experiments"),
            (("a", "a-seed-0"), "a and a-seed-0: both have a-seed-0; name two groups that share no experiment"),
            (("a-seed-1", "a"), "a-seed-1 and a: both have a-seed-1; name two groups that share no experiment"),
        ],
    )
    def test_a_group_is_not_compared_with_itself(self, compare, names, error):
        with pytest.raises(InputError, match=error):
            compare(*RUNS, names=names)

    def test_other_training_images_and_other_code_are_notes(self, compare):
        other = experiment("b-seed-0", 0, images="x" * 32 + "b" * 32, code="d")
        assert compare(*RUNS, other).notes[1:] == [
            "the training images differ, the test images do not",
            "the two were made with different versions of the code",
        ]
