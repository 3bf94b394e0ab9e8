import dataclasses

import numpy as np
import pytest
import torch

from deepen.core.seeding import make_generator
from deepen.data.augmentation import Augmentation, AugmentedImages
from deepen.data.scale_jitter import _sample_positions, sample_enlarged
from deepen.data.statistics import compute_statistics

CPU = torch.device("cpu")
VIEW = Augmentation(flip=False, crop=0.0, color_shift=0.0, view=6)
JITTER = dataclasses.replace(VIEW, scale_jitter=2.0)


def batch(augmentation, images, seed=0):
    """Augmented images with the mean added again, 0-255."""
    statistics = compute_statistics(images.numpy())
    augmented = AugmentedImages(images.numpy(), augmentation, statistics, CPU)
    found = augmented.batch(torch.arange(len(images)), make_generator("cpu", seed))
    return (found + torch.tensor(statistics.mean)[:, None, None]) * 255


@pytest.fixture
def images(rng):
    return torch.from_numpy(rng.integers(0, 256, (500, 3, 8, 12), dtype=np.uint8))


@pytest.fixture
def slopes():
    """Images whose first channel is the row and whose second is the column of each pixel, times 10."""
    rows, columns = torch.meshgrid(torch.arange(16), torch.arange(20), indexing="ij")
    return (10 * torch.stack([rows, columns, torch.zeros(16, 20)])).to(torch.uint8).expand(2000, -1, -1, -1)


def test_a_view_is_a_window_from_any_place(images):
    found, places = batch(VIEW, images).round().to(torch.uint8), set()
    for image, whole in zip(found, images, strict=True):
        windows = whole.unfold(1, 6, 1).unfold(2, 6, 1)  # (3, 3, 7, 6, 6)
        hits = (windows == image[:, None, None]).all(dim=0).all(dim=(2, 3)).nonzero()
        assert len(hits) == 1
        places.add(tuple(hits[0].tolist()))
    assert places == {(row, column) for row in range(3) for column in range(7)}


def test_a_view_reaches_beyond_the_edge_where_crops_may(images):
    found = batch(dataclasses.replace(VIEW, crop=0.25), images).round().to(torch.uint8)
    reflected = np.pad(images.numpy(), [(0, 0), (0, 0), (2, 2), (3, 3)], mode="reflect")
    for image, whole in zip(found.numpy(), reflected, strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(whole, (6, 6), (1, 2))
        assert (windows == image[:, None, None]).all(axis=(0, 3, 4)).any()


def test_enlarged_images_are_sampled_bilinearly_at_even_steps(slopes):
    """Of slopes, a bilinear sample is the place it is from: so the places can be read off."""
    found = batch(JITTER, slopes) / 10
    inner = found[:, :, 1:-1, 1:-1]  # the outer half of an edge pixel goes on flat
    step = inner[:, 0, 1, 0] - inner[:, 0, 0, 0]
    assert step.min() >= 0.5 - 1e-4
    assert step.max() <= 1 + 1e-4
    rows = inner[:, 0, :1, :1] + step[:, None, None] * torch.arange(4)[:, None]
    columns = inner[:, 1, :1, :1] + step[:, None, None] * torch.arange(4)
    torch.testing.assert_close(inner[:, 0], rows.expand(-1, 4, 4), atol=1e-4, rtol=0)
    torch.testing.assert_close(inner[:, 1], columns.expand(-1, 4, 4), atol=1e-4, rtol=0)


def test_factors_are_uniform_and_places_lie_anywhere_within(slopes):
    inner = batch(JITTER, slopes)[:, :2, 2:4, 2:4] / 10
    factor = 1 / (inner[:, 0, 1, 0] - inner[:, 0, 0, 0])
    assert factor.quantile(torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0])).tolist() == pytest.approx([1, 1.25, 1.5, 1.75, 2], abs=0.05)  # fmt: skip
    length = 6 / factor
    for channel, side in ((0, 16), (1, 20)):
        first = (
            inner[:, channel].mean((1, 2)) + 0.5 - length / 2
        )  # the middle of a view is the mean of its inner pixels
        place = first / (side - length)
        assert place.min() >= -1e-3
        assert place.max() <= 1 + 1e-3
        assert place.quantile(torch.tensor([0.25, 0.5, 0.75])).tolist() == pytest.approx([0.25, 0.5, 0.75], abs=0.05)


def test_an_image_enlarged_by_one_in_the_only_place_is_itself(images):
    channels_last = images.permute(0, 2, 3, 1)
    same = sample_enlarged(channels_last, (8, 12), 1.0, make_generator("cpu", 0))
    torch.testing.assert_close(same, channels_last.float(), atol=1e-3, rtol=0)


def test_the_whole_image_can_be_enlarged_and_a_single_pixel_too(images):
    whole = batch(dataclasses.replace(JITTER, view=None), images)
    assert whole.shape == images.shape
    pixel = images[:, :, :1, :1]
    torch.testing.assert_close(batch(dataclasses.replace(JITTER, view=None), pixel), pixel.float(), atol=1e-3, rtol=0)


@pytest.mark.parametrize("side", [1, 2, 3])
def test_all_of_a_narrow_image_is_sampled_from_its_first_to_its_last_pixel(side):
    whole = _sample_positions(side, side, torch.ones(1, 1), torch.zeros(1, 1))
    assert whole.tolist() == [torch.linspace(-1, 1, side).tolist()]


def test_mirror_images_and_colors_go_with_it(images):
    drawn = [batch(dataclasses.replace(JITTER, flip=True, color_shift=0.1), images, seed) for seed in (1, 1, 2)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert drawn[0].is_contiguous(memory_format=torch.channels_last)


def test_the_images_stay_as_they_were(images):
    augmented = AugmentedImages(images.numpy(), JITTER, compute_statistics(images.numpy()), CPU)
    first = augmented.batch(torch.arange(500), make_generator("cpu", 0))
    assert torch.equal(augmented.batch(torch.arange(500), make_generator("cpu", 0)), first)
