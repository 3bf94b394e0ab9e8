from dataclasses import replace

import pytest

from deepen.core.errors import InputError
from deepen.evaluation.predictions import Predictions, load_predictions

SAID = Predictions(actual=[0, 0, 0, 0, 1, 2], predicted=[0, 0, 0, 1, 1, 0], probability=[0.9, 0.8, 0.7, 0.6, 0.5, 0.95])


def test_each_class_counts_the_same_in_balanced_accuracy():
    assert SAID.recall() == {0: (3, 4), 1: (1, 1), 2: (0, 1)}
    assert SAID.balanced() == pytest.approx(100 * (0.75 + 1 + 0) / 3)


def test_a_class_without_images_does_not_count_in_balanced_accuracy():
    assert Predictions([2, 2], [2, 0], [1.0, 1.0]).balanced() == 50


def test_the_worst_mistakes_are_the_most_confident():
    assert SAID.worst(5).tolist() == [5, 3]
    assert SAID.worst(1).tolist() == [5]
    assert Predictions([1], [1], [0.9]).worst(5).tolist() == []


def test_predictions_are_loaded_as_they_were_saved(tmp_path):
    SAID.save(tmp_path / "I.json")
    assert load_predictions(tmp_path / "I.json") == SAID
    named = replace(SAID, files=["a", "b", "c", "d", "e", "f"])
    named.save(tmp_path / "I.json")
    assert load_predictions(tmp_path / "I.json") == named
    replace(named, files=["a"]).save(tmp_path / "I.json")
    with pytest.raises(InputError, match="its lists differ in length"):
        load_predictions(tmp_path / "I.json")
    (tmp_path / "I.json").write_text("{}")
    with pytest.raises(InputError, match="invalid file"):
        load_predictions(tmp_path / "I.json")


def test_confusion_counts_each_actual_and_predicted_class():
    assert SAID.confusion() == [(0, 0, 3), (0, 1, 1), (1, 1, 1), (2, 0, 1)]
