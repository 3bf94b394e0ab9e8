import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from conftest import LADDER
from made_up_ladders import branches
from PIL import Image

from deepen.data.augmentation import Augmentation
from deepen.data.statistics import compute_statistics
from deepen.records.history import Epoch, History
from deepen.records.ladder import LadderResults, MissingModel, draw_models, load_ladder_results
from deepen.records.record import Record, encode_right, load_records, save_records
from deepen.records.transfer_report import TensorTransfer
from deepen.report import charts, figures, gains, page_tables, tables, vega
from deepen.report.branches import add_origins
from deepen.report.lineage import trace_lineage
from deepen.training.examples import draw_augmentation_examples

AFTER = {"I": "scratch", "II": "I", "III": "II"}


def record(model="I", source="digits", width=1.0, correct=(324, 342), **metrics):
    epochs = [Epoch(1, 0.1, 1.0, 2.0, 50.0), Epoch(2, 0.1, 1.0, 2.0, 60.0)]
    return Record(
        model=model, after=AFTER[model], layers=LADDER[model], norm="none", width=width, image=(3, 8, 8), classes=10, parameters=1234,
        tensors=[TensorTransfer("fresh", None, "head.bias", (10,), "zero")],
        training=History({"seed": 0}, {"PyTorch": "2"}, images=100, learned=200, start="1", weights="2", epochs=epochs),
        data="mine", source=source, test_images=360, correct=list(correct), confusion=[(0, 0, 324), (0, 1, 36)], metrics=metrics or {"top1": 90.0, "top2": 95.0, "loss": 0.5},
        weights="2", grown_from=None,
    )  # fmt: skip


def test_records_are_loaded_as_they_were_saved(tmp_path):
    save_records(tmp_path / "new" / "II.json", [record("I"), record("II")])
    assert load_records(tmp_path / "new" / "II.json") == [record("I"), record("II")]


class TestTables:
    def test_the_table_has_a_row_a_model(self):
        one, two = tables.make_results_table([record("I"), record("II", top1=91.0, top2=96.0, loss=0.4)])
        assert (one["model"], two["model"]) == ("I", "II")
        assert (one["weight layers"], two["weight layers"]) == (5, 8)
        assert (one["top-1"], two["top-1"]) == (90.0, 91.0)
        assert "published top-1" not in one

    def test_the_published_numbers_stand_beside_cifar10_at_full_width_only(self):
        found = tables.make_results_table([record("I", source="cifar10"), record("III", source="cifar10")])
        assert [row["published top-1"] for row in found] == [82.45, 86.93]
        assert tables.make_results_table([record("I", source="cifar10", width=0.25)])[0]["published top-1"] is None

    def test_markdown_names_data_number_and_units(self):
        records = [record("I", source="cifar10", top1=90.0, top1_single_view=89.0, top2_single_view=93.0, loss=0.51234)]
        text = tables.format_markdown(records)
        assert (
            "Test accuracy in percent on 360 images of `mine`, width 1, one seed; intervals over test images; loss in nats."
            in text
        )
        assert all(cell in text for cell in ("90.00", "86.47 to 92.69", "89.00", "82.45", "0.512", "1,234"))
        assert "93.00" not in text  # the single view beyond top-1 is left to the CSV

    def test_markdown_has_the_majority_class_below_the_models_and_a_sentence_a_rung(self):
        lines = tables.format_markdown([record("I"), record("II", correct=(288, 342))]).splitlines()
        assert re.fullmatch(r"\| majority class +\|[ |]+100\.00 \|[ |]+100\.00 \|[ |]+", lines[4])
        assert "II loses 10.0 points against I (4.8 to 15.2)." in lines

    def test_markdown_tells_where_the_test_images_came_from_and_what_is_wrong_with_them(self):
        found = replace(
            record("I"), test_origin="held out of train/ (20 %)", notes=["3 images are in train and in test"]
        )
        text = tables.format_markdown([found])
        assert "on 360 images of `mine`, held out of train/ (20 %), width 1" in text
        assert text.endswith("\n\nWarning: 3 images are in train and in test\n")
        assert "of `photos`, held out" in tables.format_markdown([replace(found, data_name="photos")])

    def test_a_model_that_is_not_clearly_better_than_the_majority_class_is_told(self):
        (one, *_), _ = branches()  # 80 % right, and ten classes of about equal size
        assert tables.list_warnings([one]) == []
        weak = replace(one, correct=[30, 60], metrics={"top1": 15.0, "top2": 30.0, "balanced_top1": 15.0, "loss": 2.0})
        (told,) = tables.list_warnings([weak])
        majority = tables.compute_majority_metrics(weak)["top1"]
        rule = f"top-1 is not clearly higher than {majority:.2f} %, that of always predicting the majority class"
        assert told == f"I: {rule}"
        assert f"Warning: {told}" in tables.format_markdown([weak])
        trained = replace(weak, training=replace(weak.training, warning="learned nothing"))
        assert tables.list_warnings([trained]) == ["I: learned nothing"]
        settings = {**weak.training.settings, "training": {"class_weights": "balanced"}}
        assert tables.list_warnings([replace(weak, training=replace(weak.training, settings=settings))]) == []
        one_class = replace(weak, confusion=[(0, 0, weak.test_images)])
        assert tables.list_warnings([one_class]) == []

    def test_a_model_that_is_no_better_than_guessing_is_told_below_the_tables(self):
        found = record("II")
        found = replace(found, notes=["two are equal"], training=replace(found.training, warning="overfits: so it is"))
        told = ["Warning: two are equal", "Warning: II: overfits: so it is"]
        for text in (tables.format_markdown([record("I"), found]), tables.format_summary([record("I"), found])):
            assert [line for line in text.splitlines() if line.startswith("Warning")] == told

    def test_curves_and_top_k_are_long_tables(self):
        rows = tables.make_curves_table([record("I"), record("II")])
        assert [(row["model"], row["epoch"]) for row in rows] == [("I", 1), ("I", 2), ("II", 1), ("II", 2)]
        found = record("I", correct=(324,), top1=90.0, top1_single_view=89.0, loss=1.0)
        (row,) = tables.make_topk_table([found])
        told = {"low": 86.4663, "high": 92.689, "layers": 5, "flops": found.flops}
        assert row == {"model": "I", "k": 1, "accuracy": 90.0} | told

    def test_the_majority_class_is_that_of_the_test_images(self):
        found = replace(record("I"), confusion=[(0, 0, 100), (1, 0, 200), (2, 2, 60)], classes=4)
        assert tables.compute_majority_metrics(found) == pytest.approx(
            {"top1": 500 / 9, "top2": 250 / 3, "balanced_top1": 100 / 3}
        )


def answers(right, of=360):
    """A record of a model that had the first `right` images right."""
    found = np.arange(of) < right
    return {"right": encode_right(found), "correct": [right, of], "metrics": {"top1": 100 * right / of, "loss": 0.5}}


class TestGains:
    def gain(self, one, other):
        return gains.describe_gains([replace(record("I"), **answers(one)), replace(record("II"), **answers(other))])

    def test_there_is_a_sentence_for_each_model_but_the_first(self):
        ladder = [replace(record(name), **answers(right)) for name, right in (("I", 250), ("II", 300), ("III", 330))]
        assert [sentence.split(" gains")[0] for sentence in gains.describe_gains(ladder)] == ["II", "III"]
        assert gains.describe_gains(ladder[:1]) == []

    def test_a_gain_a_loss_and_no_clear_difference_are_told_apart(self):
        assert self.gain(270, 324) == ["II gains 15.0 points over I (11.4 to 18.9)"]
        assert self.gain(324, 270) == ["II loses 15.0 points against I (11.4 to 18.9)"]
        assert self.gain(324, 325) == ["II is 0.3 points above I (-0.8 to 1.4): no clear difference"]
        assert self.gain(325, 324) == ["II is 0.3 points below I (-1.4 to 0.8): no clear difference"]
        assert self.gain(324, 324) == ["II and I have equal top-1 (-1.0 to 1.0): no clear difference"]

    def test_a_small_difference_on_many_images_does_not_round_to_zero(self):
        def gain(one, other):
            records = [
                replace(record(name), **answers(right, 10**6), test_images=10**6)
                for name, right in (("I", one), ("II", other))
            ]
            return gains.describe_gains(records)

        assert gain(900_000, 900_400) == ["II gains 0.04 points over I (0.04 to 0.04)"]
        assert gain(900_400, 900_000) == ["II loses 0.04 points against I (0.04 to 0.04)"]
        assert gain(900_000, 900_001) == ["II is 0.0001 points above I (-0.0003 to 0.0005): no clear difference"]
        assert not any("-0.0 " in sentence for n in range(330, 360) for sentence in self.gain(n, n + 1))

    def test_an_interval_without_answers_is_that_of_different_images(self):
        paired, unpaired = (
            self.gain(270, 300),
            gains.describe_gains([record("I", correct=(270,)), record("II", correct=(300,))]),
        )
        assert paired == ["II gains 8.3 points over I (5.5 to 11.4)"]
        assert unpaired == ["II gains 8.3 points over I (2.4 to 14.2)"]

    def test_answers_are_kept_in_a_bit_an_image(self):
        right = np.array([True, False, True] * 5)
        found = replace(record("I"), right=encode_right(right), test_images=15)
        assert found.right == "b6da"
        assert found.right_answers().tolist() == right.tolist()
        assert record("I").right_answers() is None


class TestHeadline:
    def told(self, *right):
        names = ("I", "II", "III", *(f"m{i}" for i in range(9)))
        return gains.describe_best(
            [replace(record("I"), **answers(n), model=name) for name, n in zip(names, right, strict=False)]
        )

    def test_the_headline_is_of_the_best_model_wherever_that_stands(self):
        told = "Best: model {}, 5 weight layers, with 90.0 % of 360 test images right (95 % interval 86.5 to 92.7)."
        assert self.told(324, 270, 250) == told.format("I")
        assert self.told(250, 270, 324) == told.format("III")

    def test_the_headline_names_models_that_are_not_clearly_worse(self):
        assert self.told(324, 270, 323).endswith("86.5 to 92.7), not clearly better than III.")
        assert self.told(320, 322, 324).endswith("), not clearly better than I and II.")
        assert self.told(*[324] * 12).endswith("), not clearly better than II, III, m0 and 8 more.")

    def test_of_equally_good_models_the_shallowest_is_the_best(self):
        assert self.told(324, 324).startswith("Best: model I, ")

    def test_a_model_alone_is_not_the_best_of_any(self):
        assert self.told(324) == (
            "Model I, 5 weight layers, with 90.0 % of 360 test images right (95 % interval 86.5 to 92.7)."
        )

    def test_the_headline_agrees_with_the_sentences_on_gains(self):
        for right in range(315, 345):
            ladder = [replace(record(name), **answers(n)) for name, n in (("I", 324), ("II", right))]
            assert ("not clearly" in gains.describe_best(ladder)) == ("no clear" in gains.describe_gains(ladder)[0])


class TestSummary:
    def test_the_summary_has_models_intervals_the_majority_class_and_gains(self):
        ladder = [
            replace(record(name), **answers(right), data_name="photos") for name, right in (("I", 250), ("II", 300))
        ]
        assert (
            tables.format_summary(ladder)
            == """\
model             weight layers    parameters    top-1    95 % interval
I                             5         1,234    69.44   64.50 to 73.98
II                            8         1,234    83.33   79.14 to 86.83
majority class                                  100.00

Top-1 in percent on 360 test images of photos, one seed; intervals over images.
II gains 13.9 points over I (10.3 to 17.6)
"""
        )

    def test_no_line_is_longer_than_a_terminal_of_80_columns(self):
        long = [
            replace(record("I"), model=f"{i}-{'x' * 30}", **answers(10**7, 10**7), parameters=10**10, test_images=10**7)
            for i in (1, 2)
        ]
        assert max(map(len, tables.format_summary(long).splitlines()[:4])) <= 80


class TestBranches:
    """Two models that grew from the same one, and one that is not trained yet."""

    MISSING = MissingModel("wide", "II", "conv3-128 maxpool fc-1024", "not trained yet", place=2)
    CHANGED = MissingModel("old", "III", "conv3-128", "out of date", "lr, seed and 2 more", place=4)

    def test_each_model_is_compared_with_the_one_it_grew_from(self):
        told = gains.describe_gains(branches()[0])
        assert [re.search(r"^(\w+) .* (?:over|against|above|below|and) (\w+)", each).groups() for each in told] == [
            ("II", "I"),
            ("III", "I"),
        ]

    def test_the_compute_of_a_branch_is_that_of_its_own_ancestors(self):
        one, two, three = records = branches()[0]
        assert tables.sum_flops(records) == {
            "I": one.flops,
            "II": one.flops + two.flops,
            "III": one.flops + three.flops,
        }
        ends = {row["model"]: row["flops"] for row in tables.make_curves_table(records)}
        assert ends == tables.sum_flops(records)
        assert {row["model"]: row["flops"] for row in tables.make_topk_table(records)} == ends

    def test_tables_draw_the_tree_and_say_what_is_missing(self):
        records = branches()[0]
        lines = tables.format_summary(records, [self.MISSING, self.CHANGED]).splitlines()
        assert [line[:12].rstrip() for line in lines[1:6]] == ["I", "├─ II", "│  └─ wide", "└─ III", "   └─ old"]
        assert re.fullmatch(r"│  └─ wide +3 +not trained yet", lines[3])
        assert "wide is not trained yet: run dvc repro." in lines
        assert "old is out of date (lr, seed and 2 more changed): run dvc repro." in lines
        markdown = tables.format_markdown(records, [self.MISSING])
        assert re.search(r"^\| wide +\| II +\| +3 \| +\| +\| +not trained yet \|", markdown, re.MULTILINE)
        assert "\nwide is not trained yet: run dvc repro.\n" in markdown
        scores = page_tables.make_scores_table(records, [self.MISSING])
        assert scores.rows[2][:2] == ["wide", "not trained yet"]

    @pytest.mark.parametrize("place", [1, 2, 3])
    def test_models_have_the_order_of_params_yaml_with_and_without_results(self, place):
        new = MissingModel("new", "I", "conv3-128 maxpool fc-1024", "not trained yet", place=place)
        expected = ["I", "II", "III"]
        expected.insert(place, "new")
        drawn = draw_models(branches()[0], [new])
        assert [model.model for _, model in drawn] == expected
        rows = page_tables.make_scores_table(branches()[0], [new]).rows
        assert [row[0] for row in rows] == [*expected, "majority class"]

    def test_rows_over_depth_have_the_place_of_the_model_that_each_grew_from(self):
        records = branches()[0]
        topk = tables.make_topk_table(records)
        rows = add_origins(topk, {record.model: record.after for record in records})
        first = {row["k"]: row for row in topk if row["model"] == "I"}
        for row in rows:
            if row["model"] == "I":
                assert [row[name] for name in ("after", "after_layers", "after_accuracy")] == [None] * 3
            else:
                assert (row["after"], row["after_layers"]) == ("I", first[1]["layers"])
                assert row["after_accuracy"] == first[row["k"]]["accuracy"]

    def test_a_model_with_invalid_layers_has_no_number_of_them(self):
        assert replace(self.MISSING, layers="conv").weight_layers == ""

    def test_charts_lead_from_each_model_to_those_that_grew_from_it(self):
        records = branches()[0]
        after = {record.model: record.after for record in records}
        topk, curves = tables.make_topk_table(records), tables.make_curves_table(records)
        for spec in (charts.plot_accuracy_by_compute(topk, after), charts.plot_accuracy_by_depth(topk, after)):
            lines = next(layer["data"]["values"] for layer in spec["layer"] if "data" in layer)
            pairs = list(zip(lines[::2], lines[1::2], strict=True))
            assert {(one["model"], two["model"]) for one, two in pairs} == {("I", "II"), ("I", "III")}
            assert all(one["k"] == two["k"] and one["line"] == two["line"] for one, two in pairs)
        spec = charts.plot_losses(curves, after)
        (begins,) = next(layer["data"]["values"] for layer in spec["layer"] if "data" in layer)
        assert (begins["words"], begins["flops"] > 0) == ("II, III begin", True)

    def test_a_chart_of_one_model_has_no_lines(self):
        (one, *_), _ = branches()
        topk = tables.make_topk_table([one])
        for spec in (
            charts.plot_accuracy_by_compute(topk, {"I": "scratch"}),
            charts.plot_accuracy_by_depth(topk, {"I": "scratch"}),
        ):
            assert not [layer for layer in spec["layer"] if "data" in layer]

    def test_models_of_branches_are_named_in_the_chart_over_depth(self):
        one, two, three = branches()[0]
        chain = [one, two, replace(three, after="II")]
        for records, named in ((chain, 0), ([one, two, three], 1), ([one, two, replace(three, layers=two.layers)], 1)):
            after = {record.model: record.after for record in records}
            spec = charts.plot_accuracy_by_depth(tables.make_topk_table(records), after)
            marks = [layer["mark"]["type"] for layer in spec["layer"] if isinstance(layer["mark"], dict)]
            assert marks.count("text") == named
            assert pixels(vega.draw(spec, "title")).std() > 0

    def test_a_dropped_layer_is_that_of_the_model_it_grew_from(self):
        one, two, three = branches()[0]
        gone = [TensorTransfer("dropped", f"fc1.{name}", None, (1,)) for name in ("weight", "bias")]
        found = trace_lineage([one, two, replace(three, tensors=[*three.tensors, *gone])])
        cells = {row.role: row.cells for row in found}
        assert [(block.kind, block.words) for block in cells["fc1"][2]][-1] == ("dropped", "of I")

    def test_results_are_loaded_as_they_were_saved(self, tmp_path):
        results = LadderResults("II", branches()[0], [self.MISSING, self.CHANGED])
        results.save(tmp_path / "models.json")
        assert load_ladder_results(tmp_path / "models.json") == results
        assert results.last.model == "II"


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)))


class TestCharts:
    @pytest.mark.parametrize("models", [1, 3])
    def test_equal_charts_are_equal_pictures(self, models):
        records = [record(name) for name in ("I", "II", "III")[:models]]
        curves, topk = tables.make_curves_table(records), tables.make_topk_table(records)
        specs = [
            charts.plot_validation_accuracy(curves, AFTER),
            charts.plot_losses(curves, AFTER),
            charts.plot_accuracy_by_depth(topk, AFTER),
        ]
        specs += [
            charts.plot_accuracy_by_compute(topk, AFTER),
            charts.plot_confusion(records[0].confusion, list("abcdefghij")),
        ]
        for spec in specs:
            assert "var(" not in json.dumps(vega._resolve_colors(spec))
            png = vega.draw(spec, "title")
            assert png == vega.draw(spec, "title")
            assert pixels(png).std() > 0

    def test_names_that_look_like_colors_stay_names(self):
        found = vega._resolve_colors(charts.plot_confusion([(0, 0, 2)], ["var(--ink)", "b"]))
        assert found["data"]["values"][0]["actual"] == "var(--ink)"
        assert found["layer"][0]["encoding"]["x"]["scale"]["domain"] == ["var(--ink)", "b"]
        assert found["layer"][0]["mark"]["color"] == vega.COLORS["heat"][0]

    def test_curves_go_on_where_the_model_before_ended(self):
        one, *_, last = tables.make_curves_table([record("I"), record("II")])
        assert one["flops"] == record("I").flops // 2
        assert last["flops"] == record("I").flops + record("II").flops
        spec = charts.plot_validation_accuracy(tables.make_curves_table([record("I"), record("II")]), AFTER)
        begins = next(layer["data"]["values"] for layer in spec["layer"] if "data" in layer)
        assert [moment["words"] for moment in begins] == ["II begins"]

    def test_many_epochs_have_lines_without_marks(self):
        many = replace(record("I").training, epochs=[Epoch(i, 0.1, 1.0, 2.0, 50.0) for i in range(1, 300)])
        spec = charts.plot_validation_accuracy(tables.make_curves_table([replace(record("I"), training=many)]), AFTER)
        assert sum(layer["mark"] == "line" for layer in spec["layer"]) == 1
        assert pixels(vega.draw(spec, "title")).std() > 0

    def test_the_confusion_matrix_has_counts_and_percent_of_the_actual_class(self):
        spec = charts.plot_confusion([(0, 0, 2), (0, 1, 1), (1, 1, 1)], ["a", "b"])
        assert [(row["actual"], row["predicted"], row["images"]) for row in spec["data"]["values"]] == [
            ("a", "a", 2),
            ("a", "b", 1),
            ("b", "b", 1),
        ]
        assert [row["percent"] for row in spec["data"]["values"]] == pytest.approx([200 / 3, 100 / 3, 100])
        assert len(charts.plot_confusion([(0, 0, 2)], [str(i) for i in range(30)])["layer"]) == 1  # without numbers


class TestFigures:
    @pytest.mark.parametrize("channels", [1, 3, 4])
    def test_filters_are_tiles(self, channels):
        found = pixels(figures.draw_filters(np.random.default_rng(0).normal(size=(8, channels, 3, 3))))
        scale, gap = 84, 21
        assert found.shape == (2 * 3 * scale + gap, 4 * 3 * scale + 3 * gap, 4)
        assert (found[3 * scale, 0] == 0).all()  # transparent between them
        assert (found[..., :3] == found[..., :1]).all() == (channels != 3)

    def test_filters_to_compare_share_their_shades(self):
        weak, strong = np.arange(4.0).reshape(1, 1, 2, 2), np.array([-1.0, 7.0]).reshape(1, 1, 1, 2)
        found = pixels(figures.draw_filters(weak, strong))
        assert found[[0, 0, -1, -1], [0, -1, 0, -1], 0].tolist() == [32, 64, 96, 128]

    def test_augmentation_shows_the_image_above_its_forms(self, colored):
        statistics = compute_statistics(colored.images)
        examples = draw_augmentation_examples(colored, Augmentation(True, 0.25, 0.1), statistics, seed=0)
        assert len(examples) == 60
        found = pixels(figures.draw_augmentation(examples))
        tile = 8 * 13
        assert found.shape == (6 * tile + 5 * 3, 10 * tile + 9 * 3, 4)
        np.testing.assert_array_equal(found[:tile:13, :tile:13, :3], colored.images[0].transpose(1, 2, 0))
        assert not np.array_equal(found[tile + 3 : 2 * tile + 3, :tile], found[:tile, :tile])

    def test_augmentation_shows_of_larger_images_what_the_network_sees(self, colored):
        augmentation = Augmentation(False, 0.0, 0.0, view=4, scale_jitter=2.0)
        examples = draw_augmentation_examples(colored, augmentation, compute_statistics(colored.images), seed=0)
        np.testing.assert_array_equal(examples.images[0], colored.images[0, :, 2:6, 2:6])


def test_the_caption_says_which_views_were_averaged():
    found = record("I")
    assert "views" not in tables.format_markdown([found])
    assert ", views: dense, one seed;" in tables.format_markdown([replace(found, views="dense")])
