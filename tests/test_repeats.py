"""Images that a data set has more than once are told."""

import numpy as np
import pytest
from conftest import picture, write_tree

from deepen.config.dataset_settings import Digits, Folder
from deepen.data.images import ImageSet
from deepen.datasets import load_dataset
from deepen.datasets.duplicates import find_duplicates
from deepen.datasets.parts import Parts


def told(root):
    dataset = Folder(
        source="folder", root=str(root), size="auto", flip=True, crop=0.1, view="auto", width=1.0, least_images=1
    )
    return find_duplicates(load_dataset(dataset, root.parent).with_held_out("validation", 0.1))


@pytest.fixture
def files():
    """Sixteen images of two classes in each part, all different."""
    return {
        f"{part}/{label}/{i}.png": picture(value=(100 * p, 100 * n, i))
        for p, part in enumerate(("train", "val", "test"))
        for n, label in enumerate(("cat", "dog"))
        for i in range(8)
    }


def test_images_that_all_differ_have_no_warning(tmp_path, files):
    assert told(write_tree(tmp_path, files)) == []


def test_a_test_image_among_the_training_or_validation_images_is_a_warning(tmp_path, files):
    files["test/cat/3.png"] = files["train/cat/5.png"]
    files["test/dog/4.png"] = files["val/dog/1.png"]
    assert told(write_tree(tmp_path, files)) == [
        "1 test image is also in train (identical pixels), so accuracy is overestimated: "
        "test/cat/3.png = train/cat/5.png",
        "1 test image is also in validation (identical pixels), so accuracy is overestimated: "
        "test/dog/4.png = val/dog/1.png",
    ]


def test_many_repeats_are_counted_and_three_are_named(tmp_path, files):
    files |= {f"val/cat/{i}.png": files[f"train/cat/{i}.png"] for i in range(6)}
    (found,) = told(write_tree(tmp_path, files))
    assert found == (
        "6 validation images are also in train (identical pixels), so accuracy is overestimated: "
        "val/cat/0.png = train/cat/0.png, val/cat/1.png = train/cat/1.png, val/cat/2.png = train/cat/2.png"
    )


def test_an_image_under_two_classes_is_a_warning(tmp_path, files):
    files["train/dog/7.png"] = files["train/cat/1.png"]
    files["train/dog/6.png"] = files["train/cat/1.png"]
    assert told(write_tree(tmp_path, files)) == [
        "1 image has two classes (identical pixels): train/cat/1.png = train/dog/6.png"
    ]


def test_repeats_are_found_by_prepared_pixels(tmp_path, files):
    files["test/cat/3.png"] = picture(value=(0, 0, 5), format="BMP")  # train/cat/5.png in another file
    assert len(told(write_tree(tmp_path, files))) == 1


def test_images_that_are_no_files_are_numbered(rng):
    def images(labels):
        return ImageSet(np.full((len(labels), 1, 2, 2), 7, np.uint8), np.array(labels), ("a", "b"))

    parts = Parts({"train": images([0, 0]), "test": images([1])}, {"train": "from x", "test": "from y"})
    assert find_duplicates(parts) == [
        "1 test image is also in train (identical pixels), so accuracy is overestimated: "
        "test image 0 (b) = train image 0 (a)",
        "1 image has two classes (identical pixels): train image 1 (a) = test image 0 (b)",
    ]


def test_hashes_that_end_in_zeros_are_not_cut_short(monkeypatch, rng):
    """numpy takes zeros off the end of bytes."""
    from deepen.data import split

    digests = iter([b"x" + bytes(15), b"x" + bytes(15), bytes(16), b"\0x" + bytes(14)])
    monkeypatch.setattr(
        split.hashlib, "blake2b", lambda *_, **__: type("H", (), {"digest": lambda self: next(digests)})()
    )
    found = split.hash_images(ImageSet(np.zeros((4, 1, 2, 2), np.uint8), np.zeros(4, np.int64), ("a",)))
    assert (found[0] == found[1], len(np.unique(found))) == (True, 3)


def test_the_digits_are_all_different():
    parts = load_dataset(Digits(source="digits", flip=False, crop=0.1, view="auto", width=1.0, least_images=1), "/")
    assert find_duplicates(parts.with_held_out("validation", 0.1)) == []
