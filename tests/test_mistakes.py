import csv
from dataclasses import replace

from conftest import picture, write_tree
from test_predictions import SAID

from deepen.core.errors import quote
from deepen.core.files import write_text
from deepen.data.images import load_images
from deepen.datasets.judged import load_judged
from deepen.evaluation.predictions import Predictions
from deepen.report.mistakes import HEADINGS, make_mistakes_table
from deepen.report.spreadsheets import format_csv

CLASSES = ["cat", "=dog", "gnu"]


def test_all_mistakes_are_listed_the_surest_first_and_no_cell_is_a_formula():
    said = replace(SAID, files=["a", "b", "c", "-d.jpg", "e", "test/gnu/ü, 1.jpg"])
    assert format_csv(make_mistakes_table(said, CLASSES), HEADINGS).splitlines() == [
        "image,actual,predicted,probability",
        '"test/gnu/ü, 1.jpg",gnu,cat,0.95',
        "'-d.jpg,cat,'=dog,0.6",
    ]


def test_images_that_are_no_files_have_numbers():
    assert [row["image"] for row in make_mistakes_table(SAID, CLASSES)] == ["test image 5", "test image 3"]


def test_a_model_without_mistakes_has_a_table_of_headings_alone():
    said = replace(SAID, predicted=SAID.actual)
    assert format_csv(make_mistakes_table(said, CLASSES), HEADINGS) == "image,actual,predicted,probability\n"


NAMES = ("1.png", "a\nb.png", "a\r.png", "\x1b[31m.png", 'a,"b".png', "shot 9.41\u202fAM.png", "\u200d.png", "'q'")


def test_each_path_opens_the_file_that_it_names(tmp_path):
    """From a folder through the prepared images and their file to the table, whatever the names hold."""
    folder = write_tree(tmp_path / "photos", {f"{top}{name}": picture() for name in NAMES for top in ("cat/", "'a/")})
    images = load_judged(folder, ["cat", "'a"], (3, 8, 8)).images
    images.save(tmp_path / "test")
    images = load_images(tmp_path / "test")
    files, wrong = list(images.files), [1 - label for label in images.labels.tolist()]
    said = Predictions(images.labels.tolist(), wrong, [0.5] * len(wrong), files=files)
    write_text(tmp_path / "mistakes.csv", format_csv(make_mistakes_table(said, images.classes), HEADINGS))
    with (tmp_path / "mistakes.csv").open(encoding="utf-8", newline="") as file:
        named = [row["image"] for row in csv.DictReader(file)]
    assert len(set(named)) == 2 * len(NAMES)
    assert all((folder / name).is_file() for name in named)


def test_a_name_that_utf_8_can_t_express_is_escaped():
    said = replace(SAID, files=["", "", "", "", "", quote("\udcff.png")])
    assert make_mistakes_table(said, CLASSES)[0]["image"] == "'\\udcff.png'"
