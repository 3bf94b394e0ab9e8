import dataclasses

import numpy as np
import pytest
import torch
from kernels import list_kernels
from torch.overrides import TorchFunctionMode

from deepen.core.seeding import derive_seed, make_generator
from deepen.data import augmentation as module
from deepen.data.augmentation import Augmentation, AugmentedImages, normalize
from deepen.data.statistics import compute_statistics

NONE = Augmentation(flip=False, crop=0.0, color_shift=0.0)
CPU = torch.device("cpu")


def batch(augmentation, images, statistics=None, seed=0):
    statistics = statistics or compute_statistics(images.numpy())
    augmented = AugmentedImages(images.numpy(), augmentation, statistics, CPU)
    found = augmented.batch(torch.arange(len(images)), make_generator("cpu", seed))
    return found + torch.tensor(statistics.mean)[:, None, None]


def draw(augmentation, images, seed=0):
    return (batch(augmentation, images, seed=seed) * 255).round().to(torch.uint8)


@pytest.fixture
def images(rng):
    return torch.from_numpy(rng.integers(0, 256, (500, 3, 8, 12), dtype=np.uint8))


def test_nothing_asked_is_nothing_done(images):
    assert torch.equal(draw(NONE, images), images)


def test_each_image_is_itself_or_its_mirror_image_and_about_half_are(images):
    found = draw(dataclasses.replace(NONE, flip=True), images)
    same = (found == images).all(dim=(1, 2, 3))
    mirrored = (found == images.flip(3)).all(dim=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 200 < mirrored.sum() < 300


def test_a_crop_is_a_window_of_the_reflected_image(images):
    found, places = draw(dataclasses.replace(NONE, crop=0.25), images), set()
    reflected = torch.from_numpy(np.pad(images.numpy(), [(0, 0), (0, 0), (2, 2), (3, 3)], mode="reflect"))
    for image, whole in zip(found, reflected, strict=True):
        windows = whole.unfold(1, 8, 1).unfold(2, 12, 1)  # (3, 5, 7, 8, 12)
        hits = (windows == image[:, None, None]).all(dim=0).all(dim=(2, 3)).nonzero()
        assert len(hits) == 1
        places.add(tuple(hits[0].tolist()))
    assert places == {(row, column) for row in range(5) for column in range(7)}


@pytest.mark.parametrize("shard", [slice(None), slice(1, None, 2)])
def test_crops_are_the_same_where_whole_images_are_selected_first(images, shard):
    """As on Apple's GPU; there, the gathered memory is of the images of a batch."""
    augmentation = Augmentation(flip=True, crop=0.25, color_shift=0.1)
    augmented = AugmentedImages(images.numpy(), augmentation, compute_statistics(images.numpy()), CPU)
    rows = torch.tensor([7, 499, 0, 7, 31, 8])
    expected = augmented.batch(rows, make_generator("cpu", 0), shard)
    augmented._selects_first = True
    assert torch.equal(augmented.batch(rows, make_generator("cpu", 0), shard), expected)


class _OnCpu(TorchFunctionMode):
    """Has a program for MPS compute on the CPU; lists the elements of overlapping views that it gathers from."""

    def __init__(self):
        super().__init__()
        self.gathered = []

    def __torch_function__(self, function, types, arguments=(), options=None):
        arguments = [CPU if _is_mps(value) else value for value in arguments]
        options = {name: CPU if _is_mps(value) else value for name, value in (options or {}).items()}
        if function is torch.Tensor.index_select and arguments[0].numel() > arguments[0].untyped_storage().nbytes():
            self.gathered.append(arguments[0].numel())
        return function(*arguments, **options)


def _is_mps(value):
    return isinstance(value, torch.device) and value.type == "mps"


def test_mps_gathers_from_the_images_of_a_batch_and_others_from_all(images):
    gathered, augmentation = {}, dataclasses.replace(NONE, crop=0.25)
    for device in ("cpu", "mps"):
        with _OnCpu() as program:
            augmented = AugmentedImages(
                images.numpy(), augmentation, compute_statistics(images.numpy()), torch.device(device)
            )
            augmented.batch(torch.tensor([7, 499, 0, 7, 31]), make_generator("cpu", 0))
        (gathered[device],) = program.gathered
    assert gathered["cpu"] > 90 * gathered["mps"]  # 500 images, and 5


def test_a_batch_takes_few_kernels_on_a_gpu(images, monkeypatch):
    augmentation = Augmentation(flip=True, crop=0.25, color_shift=0.1)
    augmented = AugmentedImages(images.numpy(), augmentation, compute_statistics(images.numpy()), CPU)
    expected = augmented.batch(torch.arange(128), make_generator("cpu", 0))
    monkeypatch.setattr(module, "_mirror_by_index", module._mirror)
    assert torch.equal(augmented.batch(torch.arange(128), make_generator("cpu", 0)), expected)
    kernels = list_kernels(augmented.batch, torch.arange(128), torch.Generator())
    assert kernels.total() <= 17, kernels


def test_any_images_in_any_order(images):
    rows = torch.tensor([7, 499, 0, 7])
    augmented = AugmentedImages(images.numpy(), NONE, compute_statistics(images.numpy()), CPU)
    mean = augmented.batch(torch.arange(500), make_generator("cpu", 0))
    assert torch.equal(augmented.batch(rows, make_generator("cpu", 0)), mean[rows])
    assert augmented.batch(rows, make_generator("cpu", 0)).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_color_shift_is_one_color_an_image_along_the_components(channels):
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (400, channels, 4, 4), dtype=np.uint8)
    pixels[:, channels // 2] = pixels[:, 0] // 2
    statistics = compute_statistics(pixels)
    black = torch.zeros(20_000, channels, 4, 4, dtype=torch.uint8)
    shifted = batch(dataclasses.replace(NONE, color_shift=0.1), black, statistics)
    shift = shifted[:, :, 0, 0]
    assert torch.equal(shifted, shift[:, :, None, None].expand_as(shifted))
    along = shift @ torch.tensor(statistics.eigenvectors)  # each component's coordinate has std 0.1 * eigenvalue
    np.testing.assert_allclose(along.std(0).numpy(), 0.1 * np.array(statistics.eigenvalues), rtol=0.03, atol=1e-8)
    assert along.mean(0).abs().max() < 1e-3


def test_normalize_takes_255_to_1_and_subtracts_the_mean():
    images = torch.tensor([0, 255], dtype=torch.uint8).reshape(2, 1, 1, 1)
    assert torch.equal(normalize(images, torch.tensor([0.25])).flatten(), torch.tensor([-0.25, 0.75]))


def test_normalize_takes_a_mean_for_each_image_too(images):
    means = torch.rand(500, 3)
    expected = images / 255 - means[:, :, None, None]
    assert torch.equal(normalize(images, means), expected)
    assert torch.equal(normalize(images, means[7])[7], expected[7])


def test_equal_names_give_equal_draws_and_others_others(images):
    augmentation = Augmentation(flip=True, crop=0.25, color_shift=0.0)
    assert torch.equal(draw(augmentation, images, seed=3), draw(augmentation, images, seed=3))
    assert not torch.equal(draw(augmentation, images, seed=3), draw(augmentation, images, seed=4))
    assert (
        len(
            {
                derive_seed(0, "I", "x", 1, 2),
                derive_seed(0, "I", "x", 12),
                derive_seed(0, "I", "x", 2, 1),
                derive_seed(0, "II", "x", 1, 2),
            }
        )
        == 4
    )
