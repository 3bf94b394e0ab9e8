import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
from conftest import photos, train_and_test, write_tree

from deepen.config.dataset_settings import Digits, Folder
from deepen.core.errors import InputError
from deepen.data.images import ImageSet
from deepen.data.split import hold_out
from deepen.data.statistics import compute_statistics
from deepen.datasets import load_dataset
from deepen.datasets.digits import load_digits

CIFAR10_JPEG = Path(os.environ.get("CIFAR10_JPEG", Path(__file__).parents[2] / "shared/data/cifar10-jpeg.tar.xz"))


class TestHoldOut:
    def sample(self, counts, rng):
        labels = np.repeat(np.arange(len(counts)), counts)
        images = rng.integers(0, 256, (len(labels), 1, 4, 4), dtype=np.uint8)
        return ImageSet(images, labels, tuple("abcdefgh"[: len(counts)]))

    def test_each_class_gives_its_fraction_and_each_image_goes_one_way(self, rng):
        images = self.sample([100, 30, 7, 2], rng)
        kept, held = hold_out(images, 0.2, "test")
        assert np.bincount(held.labels).tolist() == [20, 6, 1, 1]
        together = {image.tobytes() for part in (kept, held) for image in part.images}
        assert len(together) == len(kept) + len(held) == 139

    def test_held_out_images_do_not_depend_on_the_order(self, rng):
        images = self.sample([50, 50], rng)
        order = rng.permutation(100)
        for one, other in zip(hold_out(images, 0.1, "x"), hold_out(images.select(order), 0.1, "x"), strict=True):
            assert {image.tobytes() for image in one.images} == {image.tobytes() for image in other.images}

    def test_a_class_too_small_to_split_is_an_error(self, rng):
        with pytest.raises(InputError) as error:
            hold_out(self.sample([5, 1, 2], rng), 0.1, "test", keep=2)
        assert error.value.faults == (
            "class 'b' has 1 image, but 3 are needed to hold one out for test; add images or remove the class",
            "class 'c' has 2 images, but 3 are needed to hold one out for test; add images or remove the class",
        )


def test_the_digits_are_those_that_scikit_learn_loads():
    ours, theirs = load_digits(), sklearn.datasets.load_digits()
    assert np.array_equal(ours.images[:, 0], np.rint(theirs.images * (255 / 16)))
    assert np.array_equal(ours.labels, theirs.target)
    assert ours.classes == tuple(map(str, theirs.target_names))


def test_the_digits_are_all_there_and_half_of_them_are_held_out():
    parts = load_dataset(Digits(source="digits", flip=False, crop=0.1, view="auto", width=1.0, least_images=1), Path())
    train, test = parts.images["train"], parts.images["test"]
    assert parts.origins == {"train": "from digits", "test": "held out of digits (50 %)"}
    assert len(train) + len(test) == 1797
    assert len(test) == pytest.approx(1797 / 2, abs=5)
    assert train.images.shape[1:] == (1, 8, 8)
    assert (train.images.min(), train.images.max()) == (0, 255)
    assert train.classes == tuple("0123456789")


def test_a_folder_without_test_images_holds_a_fifth_out(tmp_path):
    write_tree(tmp_path / "mine", photos(train=10, test=0))
    parts = load_dataset(
        Folder(source="folder", root="mine", size="auto", flip=True, crop=0.1, view="auto", width=1.0, least_images=1),
        tmp_path,
    )
    assert np.bincount(parts.images["train"].labels).tolist() == [8, 8]
    assert np.bincount(parts.images["test"].labels).tolist() == [2, 2]
    assert parts.origins == {"train": "from train/", "test": "held out of train/ (20 %)"}


def test_only_its_own_source_is_imported():
    code = (
        "import sys; from pathlib import Path; from deepen.datasets import load_dataset; from deepen.config.dataset_settings import Digits;"
        "load_dataset(Digits(source='digits', flip=False, crop=0.1, view='auto', width=1.0, least_images=1), Path()); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.skipif(not CIFAR10_JPEG.exists(), reason="cifar10-jpeg.tar.xz is not here; set CIFAR10_JPEG to its path")
def test_all_of_cifar10_jpeg_and_its_exact_statistics():
    train, test = train_and_test(CIFAR10_JPEG)
    assert train.images.shape == (50_000, 3, 32, 32)
    assert np.bincount(test.labels).tolist() == [1000] * 10
    found = compute_statistics(train.images)
    assert [round(value, 8) for value in found.mean] == [0.49125038, 0.48209027, 0.44652094]
    assert [round(value, 8) for value in found.eigenvalues] == [0.17183196, 0.01252795, 0.00264886]
