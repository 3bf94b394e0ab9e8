import tracemalloc

import numpy as np
import pytest

from deepen.core.errors import InputError
from deepen.data.statistics import compute_statistics, load_statistics


def by_numpy(images):
    pixels = np.moveaxis(images, 1, 0).reshape(images.shape[1], -1).astype(np.float64) / 255
    return pixels.mean(1), np.atleast_2d(np.cov(pixels))


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_equal_to_numpy_s_covariance_to_1e_12(rng, channels):
    images = rng.integers(0, 256, (300, channels, 9, 7), dtype=np.uint8)
    images[:, 0] //= 2
    if channels > 1:
        images[:, 1] = images[:, 0] + rng.integers(0, 20, images[:, 0].shape, dtype=np.uint8)
    found = compute_statistics(images)
    mean, covariance = by_numpy(images)
    vectors = np.array(found.eigenvectors)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(found.eigenvalues, np.linalg.eigvalsh(covariance)[::-1], rtol=1e-12)
    np.testing.assert_allclose(vectors @ np.diag(found.eigenvalues) @ vectors.T, covariance, rtol=1e-12, atol=1e-15)
    assert found.images == (300,)


def test_the_sign_is_fixed_and_the_order_falls(rng):
    images = rng.integers(0, 256, (50, 3, 4, 4), dtype=np.uint8)
    found = compute_statistics(images)
    columns = np.array(found.eigenvectors).T
    assert all(column[np.abs(column).argmax()] > 0 for column in columns)
    assert sorted(found.eigenvalues, reverse=True) == list(found.eigenvalues)
    assert compute_statistics(images[::-1].copy()) == found  # the order of the images is nothing


@pytest.mark.parametrize("level", [0, 1, 128, 254, 255])
def test_one_level_everywhere_has_that_mean_and_no_variance_to_the_last_bit(level):
    found = compute_statistics(np.full((3000, 3, 32, 32), level, np.uint8))
    assert found.mean == (level / 255,) * 3
    assert found.eigenvalues == (0, 0, 0)


def test_memory_stays_below_64_mb_whatever_the_number_of_images(rng):
    images = np.broadcast_to(rng.integers(0, 256, (1, 3, 32, 32), dtype=np.uint8), (20_000, 3, 32, 32))
    tracemalloc.start()
    compute_statistics(images)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64e6


def test_too_few_pixels_are_an_error():
    with pytest.raises(InputError, match="statistics need at least 2 pixels, the images have 1; add images"):
        compute_statistics(np.zeros((1, 1, 1, 1), np.uint8))


def test_saving_and_loading_keeps_every_bit(rng, tmp_path):
    found = compute_statistics(rng.integers(0, 256, (50, 3, 4, 4), dtype=np.uint8))
    found.save(tmp_path / "metrics" / "statistics.json")
    assert load_statistics(tmp_path / "metrics" / "statistics.json") == found
