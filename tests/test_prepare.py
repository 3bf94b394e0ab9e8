"""What the first stage tells of a data set: its parts, where they came from, what was skipped, what is repeated."""

import io

import numpy as np
import pytest
import yaml
from conftest import photos, picture, write_tree
from dvc_project import ROOT
from PIL import Image

from deepen.config.settings import load_settings
from deepen.data.images import load_images
from deepen.datasets.source import save_source
from pipeline.prepare import prepare
from pipeline.shared.files import NOTES, SOURCE


@pytest.fixture
def told(tmp_path, monkeypatch, capsys):
    """Prepares a folder of these files, and gives the lines on standard output and error."""

    def run(files):
        settings = yaml.safe_load((ROOT / "params.yaml").read_text())
        settings["data"] = "folder"
        settings["datasets"]["folder"]["root"] = str(write_tree(tmp_path / "photos", files))
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings))
        monkeypatch.chdir(tmp_path)
        save_source(load_settings().dataset, tmp_path, SOURCE)
        capsys.readouterr()
        prepare()
        out, err = capsys.readouterr()
        return out.splitlines(), err.splitlines()

    return run


def test_prepare_notes_parts_that_are_held_out(told, tmp_path):
    out, _ = told(photos(train=30, test=0))
    assert out == [
        "train: 44 images of shape (3, 8, 8), 2 classes, from train/",
        "validation: 4 images of shape (3, 8, 8), 2 classes, held out of train/ (8.33 %)",
        "test: 12 images of shape (3, 8, 8), 2 classes, held out of train/ (20 %)",
    ]
    assert [len(load_images(tmp_path / f"data/{name}.safetensors")) for name in ("train", "validation", "test")] == [
        44,
        4,
        12,
    ]


def test_prepare_notes_parts_that_have_folders(told, tmp_path):
    valid = {f"valid/{label}/{i}.png": picture(value=(200, i, i)) for label in ("cat", "dog") for i in range(5)}
    out, err = told(photos(train=20, test=20) | valid | {"train/labels.csv": b"x", "valid/cat/.x.png": picture()})
    assert out == [
        "train: 40 images of shape (3, 8, 8), 2 classes, from train/",
        "validation: 10 images of shape (3, 8, 8), 2 classes, from valid/",
        "test: 40 images of shape (3, 8, 8), 2 classes, from test/",
    ]
    notes = NOTES.read_text().splitlines()
    assert err == [notes[0], "... and 3 more in data/notes.txt"]
    assert notes == [
        "warning: 40 test images are also in train (identical pixels), so accuracy is overestimated: "
        "test/cat/000.png = train/cat/000.png, test/cat/001.png = train/cat/001.png, test/cat/002.png = train/cat/002.png",
        "warning: 5 images have two classes (identical pixels): valid/cat/0.png = valid/dog/0.png, "
        "valid/cat/1.png = valid/dog/1.png, valid/cat/2.png = valid/dog/2.png",
        "skipped 1 file that is not an image: train/labels.csv",
        "skipped 1 hidden image, whose own or folder's name starts with a dot: valid/cat/.x.png",
    ]
    assert (load_images(tmp_path / "data/validation.safetensors").images[:, 0] == 200).all()


def test_small_classes_are_one_warning(told):
    _, err = told(photos(train=19, test=0))
    assert err == [
        "warning: classes with fewer than 20 training or test images, too few to rely on: 'cat' (13 training, 4 test), "
        "'dog' (13 training, 4 test); add images, and look at balanced_top1"
    ]
    assert NOTES.read_text().splitlines() == err
    told(photos(train=40, test=2))
    assert "rely on: 'cat' (2 test), 'dog' (2 test);" in NOTES.read_text()


def test_images_that_are_read_with_a_warning_are_told(told):
    told(photos(train=30, test=0) | {"train/cat/x.png": picture("I;16", value=7)})
    assert "\nwarning: train/cat/x.png: is nearly black: none of its 16-bit values exceeds " in NOTES.read_text()


def test_files_and_data_keep_their_names(told, tmp_path):
    files = photos(train=30, test=0)
    told(files)
    for name in ("train", "validation", "test"):
        found = load_images(tmp_path / f"data/{name}.safetensors")
        assert found.name == "photos"
        for row, image in enumerate(found.images):
            file = found.get_file_name(row)
            assert file.startswith(f"train/{found.classes[found.labels[row]]}/")
            assert np.array_equal(image, np.asarray(Image.open(io.BytesIO(files.pop(file)))).transpose(2, 0, 1))
    assert files == {}
