"""Class folders without train: their images are for training, and some are held out."""

import numpy as np
import pytest
from conftest import archive, assert_equal, photos, picture, write_tree

from deepen.config.dataset_settings import Folder
from deepen.core.errors import InputError
from deepen.datasets import load_dataset
from deepen.datasets.folder import load_folder


def sorted_in(*names, count=6):
    return {f"{name}/{i}.png": picture(value=(40 * at, i, 0)) for at, name in enumerate(names) for i in range(count)}


def fault(root):
    with pytest.raises(InputError) as error:
        load_folder(root, None)
    (found,) = error.value.faults
    return found.removeprefix(f"{root}: ")


@pytest.mark.parametrize("kind", ["folder", "zip", "", "gz", "xz"])
@pytest.mark.parametrize("around", ["", "my photos/all of them/"])
def test_the_folders_are_the_classes(tmp_path, kind, around):
    files = sorted_in(f"{around}cat", f"{around}a dog/in the garden") | {f"{around}read me.txt": b"x"}
    root = write_tree(tmp_path / "x", files) if kind == "folder" else archive(tmp_path / "x", files, kind)
    parts = load_folder(root, None)
    assert parts.images["train"].classes == ("a dog", "cat")
    assert np.bincount(parts.images["train"].labels).tolist() == [6, 6]
    assert parts.origins == {"train": "from the class folders"}
    assert parts.notes == (
        f"skipped 1 file that is not an image: {around}read me.txt",
        "no train/: the 2 folders of images are the classes: a dog, cat",
    )
    assert parts.warnings == ()


def test_the_images_are_those_of_the_same_folders_in_train(tmp_path):
    files = sorted_in("cat", "dog")
    inside = write_tree(tmp_path / "y", {f"train/{name}": content for name, content in files.items()})
    for one, other in zip(*(load_folder(root, None).images.values() for root in (write_tree(tmp_path / "x", files), inside)), strict=True):  # fmt: skip
        assert_equal(one, other)


def test_validation_and_test_images_are_held_out_and_said_so(tmp_path):
    root = write_tree(tmp_path / "x", sorted_in("cat", "dog", count=10))
    settings = {"least_images": 1, "flip": True, "crop": 0.1, "view": "auto", "width": 1.0, "size": "auto"}
    parts = load_dataset(Folder(source="folder", root=str(root), **settings), tmp_path).with_held_out(
        "validation", 0.25
    )
    assert {part: len(images) for part, images in parts.images.items()} == {"train": 12, "validation": 4, "test": 4}
    assert parts.origins["test"] == "held out of the class folders (20 %)"


@pytest.mark.parametrize(
    "names",
    [
        ("images", "masks"), ("Images", "annotations"), ("cat", "labels"),  # images and targets of another task
        ("cat", "dog", "dev"), ("cat", "Testing"), ("seg_train", "seg_test"), ("cat", "val/dog"),  # parts
    ],
)  # fmt: skip
def test_folders_that_may_not_be_classes_are_an_error(tmp_path, names):
    for root in (write_tree(tmp_path / "x", sorted_in(*names)), archive(tmp_path / "x.zip", sorted_in(*names), "zip")):
        assert any(told in fault(root) for told in ("but no train/", "has no train/", "in no class folder"))


@pytest.mark.parametrize("part", ["train", "test", "val"])
def test_class_folders_beside_an_empty_part_are_an_error(tmp_path, part):
    root = write_tree(tmp_path, sorted_in("cat", "dog"))
    (root / part).mkdir()
    assert fault(root).startswith("has 2 folders of images (cat, dog) but no train/; if these are the classes, type: ")


def test_images_beside_class_folders_are_an_error(tmp_path):
    files = sorted_in("cat", "dog") | {"1.png": picture()}
    assert fault(write_tree(tmp_path, files)).startswith("13 images, such as 1.png, are in no class folder")


@pytest.mark.parametrize("around", ["", "a/"])
def test_a_class_folder_without_images_is_an_error(tmp_path, around):
    files = sorted_in(f"{around}cat", f"{around}dog") | {f"{around}emu/notes.txt": b""}
    for root in (write_tree(tmp_path / "x", files), archive(tmp_path / "x.tar", files, "")):
        assert fault(root) == f"{around}emu/: contains no images; add some or remove it"


def test_a_class_whose_name_starts_with_a_dot_is_an_error(tmp_path):
    assert fault(write_tree(tmp_path, sorted_in("cat", "dog", ".net"))) == (
        ".net/: contains images, but names that start with a dot are ignored; rename it, for example to net"
    )


def test_folders_that_several_classes_contain_are_told(tmp_path):
    files = sorted_in("2025/cat", "2025/dog", "2026/cat", "2026/dog")
    assert load_folder(write_tree(tmp_path / "x", files), None).warnings == (
        "several class folders contain the folders cat, dog; if these are the classes, move them into train/",
    )
    assert load_folder(write_tree(tmp_path / "y", sorted_in("n1/images", "n2/images")), None).warnings == ()


def test_metadata_that_lists_classes_comes_before_folders(tmp_path):
    rows = [f"{name}/{i}.png,{'even' if i % 2 == 0 else 'odd'}" for name in ("cat", "dog") for i in range(6)]
    files = sorted_in("cat", "dog") | {"metadata.csv": "\n".join(["file_name,label", *rows]).encode()}
    parts = load_folder(write_tree(tmp_path, files), None)
    assert parts.images["train"].classes == ("even", "odd")
    assert parts.origins == {"train": "from metadata.csv"}


def test_folders_in_train_are_still_the_classes(tmp_path):
    assert load_folder(write_tree(tmp_path, photos()), None).origins == {"train": "from train/", "test": "from test/"}
