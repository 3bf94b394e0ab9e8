import dataclasses
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import LADDER
from matplotlib import image as mpimg
from scipy.stats import binomtest

from deepen import figures, tables
from deepen.augmentation import Augmentation
from deepen.examples import augmentation_examples
from deepen.history import Epoch, History
from deepen.records import Record, load_records, save_records
from deepen.statistics import compute_statistics
from deepen.transfer_report import TensorFate


def record(model="I", source="digits", width=1.0, correct=(324, 342), **metrics):
    epochs = [Epoch(1, 0.1, 1.0, 2.0, 50.0), Epoch(2, 0.1, 1.0, 2.0, 60.0)]
    return Record(
        model=model, after="scratch", layers=LADDER[model], norm="none", width=width, image=(3, 8, 8), classes=10, parameters=1234,
        tensors=[TensorFate("fresh", None, "head.bias", (10,), "zero")],
        training=History({"seed": 0}, {"PyTorch": "2"}, images=100, learned=200, start="1", weights="2", epochs=epochs),
        data="mine", source=source, test_images=360, correct=list(correct), confusion=[(0, 0, 324), (0, 1, 36)], metrics=metrics or {"top1": 90.0, "top2": 95.0, "loss": 0.5},
        weights="2", grown_from=None,
    )  # fmt: skip


def test_records_are_handed_on_whole(tmp_path):
    save_records(tmp_path / "new" / "II.json", [record("I"), record("II")])
    assert load_records(tmp_path / "new" / "II.json") == [record("I"), record("II")]


class TestTables:
    def test_a_row_a_model(self):
        table = tables.results_table([record("I"), record("II", top1=91.0, top2=96.0, loss=0.4)])
        assert table["model"].tolist() == ["I", "II"]
        assert table["weight layers"].tolist() == [5, 8]
        assert table["top-1"].tolist() == [90.0, 91.0]
        assert "published top-1" not in table

    def test_the_published_numbers_stand_beside_cifar10_at_full_width_only(self):
        assert tables.results_table([record("I", source="cifar10"), record("III", source="cifar10")])[
            "published top-1"
        ].tolist() == [82.45, 86.93]
        assert tables.results_table([record("I", source="cifar10", width=0.25)])["published top-1"].isna().all()

    def test_markdown_names_data_number_and_units(self):
        records = [record("I", source="cifar10", top1=90.0, top1_single_view=89.0, top2_single_view=93.0, loss=0.51234)]
        text = tables.as_markdown(tables.results_table(records), records)
        assert "Test accuracy in percent on 360 images of `mine`, width 1; loss in nats." in text
        assert all(cell in text for cell in ("90.00", "89.00", "82.45", "0.512", "1,234"))
        assert "93.00" not in text  # the single view beyond top-1 is left to the CSV

    def test_markdown_tells_where_the_test_images_came_from_and_what_is_wrong_with_them(self):
        found = replace(
            record("I"), test_origin="held out of train/ (20 %)", notes=["3 images are in train and in test"]
        )
        text = tables.as_markdown(tables.results_table([found]), [found])
        assert "on 360 images of `mine`, held out of train/ (20 %), width 1" in text
        assert text.endswith("\n\nWarning: 3 images are in train and in test\n")

    def test_curves_and_top_k_are_long_tables(self):
        records = [record("I"), record("II")]
        assert tables.curves_table(records)[["model", "epoch"]].values.tolist() == [
            ["I", 1],
            ["I", 2],
            ["II", 1],
            ["II", 2],
        ]
        topk = tables.topk_table([record("I", correct=(324,), top1=90.0, top1_single_view=89.0, loss=1.0)])
        assert topk.drop(columns=["low", "high"]).to_dict("records") == [{"model": "I", "k": 1, "accuracy": 90.0}]

    def test_intervals_are_those_of_wilson(self):
        z, share, n = 1.959964, 0.9, 360
        middle, half = share + z**2 / (2 * n), z * (share * (1 - share) / n + (z / (2 * n)) ** 2) ** 0.5
        expected = [100 * (middle + sign * half) / (1 + z**2 / n) for sign in (-1, 1)]
        assert tables.wilson_interval(324, 360) == pytest.approx(expected, abs=1e-3)
        for correct, images in ((0, 7), (5, 5), (1, 10_000), (899, 900)):
            of_scipy = binomtest(correct, images).proportion_ci(0.95, method="wilson")
            assert tables.wilson_interval(correct, images) == pytest.approx([100 * end for end in of_scipy], abs=1e-4)
        assert tables.wilson_interval(5, 5)[1] == 100


class TestFigures:
    def drawn(self, path, draw, *args, **options):
        """The figure, once it is known to give the same file twice, and one with something on it."""
        for name in ("a.png", "b.png"):
            figure = draw(*args, **options)
            figures.save_figure(figure, path / name)
        assert (path / "a.png").read_bytes() == (path / "b.png").read_bytes()
        assert mpimg.imread(path / "a.png").std() > 0
        return figure

    def test_curves_show_every_model(self, tmp_path):
        figure = self.drawn(tmp_path, figures.draw_curves, tables.curves_table([record("I"), record("II")]))
        loss, accuracy = figure.axes
        assert [line.get_label() for line in accuracy.lines] == ["I", "II"]
        assert accuracy.lines[1].get_ydata().tolist() == [50, 60]
        assert len(loss.lines) == 4

    def test_depth_has_a_line_for_each_k(self, tmp_path):
        figure = self.drawn(
            tmp_path, figures.draw_depth, tables.topk_table([record("I"), record("II", top1=91.0, top2=96.0, loss=1.0)])
        )
        assert [line.get_ydata().tolist() for line in figure.axes[0].lines] == [[90, 91], [95, 96]]

    @pytest.mark.parametrize("classes", [2, 30, 60])
    def test_the_confusion_matrix_counts(self, tmp_path, classes):
        names = [f"class {i}" for i in range(classes)]
        figure = self.drawn(tmp_path, figures.draw_confusion, [0, 0, 0, 1], [0, 0, 1, 1], names, "title")
        shown = np.asarray(figure.axes[0].images[0].get_array())
        assert shown[0, :2].tolist() == pytest.approx([200 / 3, 100 / 3])
        assert shown[1, 1] == 100
        assert [text.get_text() for text in figure.axes[0].texts] == (["2", "1", "1"] if classes == 2 else [])

    @pytest.mark.parametrize("channels", [1, 3, 4])
    def test_filters_are_tiles(self, tmp_path, rng, channels):
        figure = self.drawn(
            tmp_path, figures.draw_filters, rng.standard_normal((8, channels, 3, 3), np.float32), "title"
        )
        shown = np.asarray(figure.axes[0].images[0].get_array())
        assert shown.shape == ((7, 15, 3) if channels == 3 else (7, 15))

    def test_filters_to_compare_share_their_shades(self):
        weak, strong = np.arange(4.0).reshape(1, 1, 2, 2), np.array([-1.0, 7.0]).reshape(1, 1, 1, 2)
        shown = np.asarray(figures.draw_filters(weak, "title", strong).axes[0].images[0].get_array())
        assert shown[:, :2].tolist() == [[0.125, 0.25], [0.375, 0.5]]

    def test_augmentation_shows_the_image_above_its_forms(self, tmp_path, colored):
        statistics = compute_statistics(colored.images)
        examples = augmentation_examples(colored, Augmentation(True, 0.25, 0.1), statistics, seed=0)
        figure = self.drawn(tmp_path, figures.draw_augmentation, examples)
        shown = np.asarray(figure.axes[0].images[0].get_array())
        assert shown.shape == (6 * 9 - 1, 10 * 9 - 1, 3)
        np.testing.assert_allclose(shown[:8, :8], colored.images[0].transpose(1, 2, 0) / 255, atol=1e-6)
        assert not np.allclose(shown[9:17, :8], shown[:8, :8])

    def test_augmentation_shows_of_larger_images_what_the_network_sees(self, tmp_path, colored):
        augmentation = Augmentation(False, 0.0, 0.0, view=4, scale_jitter=2.0)
        statistics = compute_statistics(colored.images)
        examples = augmentation_examples(colored, augmentation, statistics, seed=0)
        figure = self.drawn(tmp_path, figures.draw_augmentation, examples)
        shown = np.asarray(figure.axes[0].images[0].get_array())
        assert shown.shape == (6 * 5 - 1, 10 * 5 - 1, 3)
        np.testing.assert_allclose(shown[:4, :4], colored.images[0, :, 2:6, 2:6].transpose(1, 2, 0) / 255, atol=1e-6)


def test_the_caption_says_which_views_were_averaged():
    found = record("I")
    assert "views" not in tables.as_markdown(tables.results_table([found]), [found])
    dense = dataclasses.replace(found, views="dense")
    assert ", views: dense;" in tables.as_markdown(tables.results_table([dense]), [dense])


def test_tables_are_pandas_and_their_csv_can_be_read_again(tmp_path):
    table = tables.results_table([record("I", source="cifar10")])
    table.to_csv(tmp_path / "t.csv", index=False)
    assert pd.read_csv(tmp_path / "t.csv")["published top-1"].tolist() == [82.45]
