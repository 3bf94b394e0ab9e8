from dataclasses import replace

from test_predictions import SAID

from deepen.mistakes import HEADINGS, mistakes_table
from deepen.spreadsheets import as_csv

CLASSES = ["cat", "=dog", "gnu"]


def test_all_mistakes_are_listed_the_surest_first_and_no_cell_is_a_formula():
    said = replace(SAID, files=["a", "b", "c", "-d.jpg", "e", "test/gnu/ü, 1.jpg"])
    assert as_csv(mistakes_table(said, CLASSES), HEADINGS).splitlines() == [
        "image,actual,predicted,probability",
        '"test/gnu/ü, 1.jpg",gnu,cat,0.95',
        "'-d.jpg,cat,'=dog,0.6",
    ]


def test_images_that_are_no_files_have_numbers():
    assert [row["image"] for row in mistakes_table(SAID, CLASSES)] == ["test image 5", "test image 3"]


def test_without_a_mistake_there_are_only_headings():
    said = replace(SAID, predicted=SAID.actual)
    assert as_csv(mistakes_table(said, CLASSES), HEADINGS) == "image,actual,predicted,probability\n"
