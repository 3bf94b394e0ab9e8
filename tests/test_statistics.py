import dataclasses
import tracemalloc

import numpy as np
import pytest

from deepen.core.checksums import write_checked_json
from deepen.core.errors import InputError
from deepen.data import patches
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


def patches_by_numpy(images):
    windows = np.lib.stride_tricks.sliding_window_view(images / 255, (3, 3), axis=(2, 3))
    return np.cov(windows.transpose(1, 4, 5, 0, 2, 3).reshape(9 * images.shape[1], -1), ddof=0)


@pytest.mark.parametrize("shape", [(40, 1, 5, 9), (40, 3, 9, 7), (300, 3, 32, 32), (3, 2, 3, 3), (2, 1, 4, 100_000)])
def test_the_covariance_of_patches_is_numpy_s_to_1e_12(rng, shape):
    images = rng.integers(0, 256, shape, dtype=np.uint8)
    images[..., 1:] = images[..., 1:] // 2 + images[..., :-1] // 2
    found = np.array(compute_statistics(images).patch_covariance)
    np.testing.assert_allclose(found, patches_by_numpy(images), rtol=1e-12, atol=1e-15)
    assert np.array_equal(found, found.T)


@pytest.mark.parametrize(("count", "step"), [(50, 1), (80, 2), (119, 2), (120, 3)])
def test_of_many_patches_those_of_evenly_spaced_images_are_used(rng, monkeypatch, count, step):
    monkeypatch.setattr(patches, "_ENOUGH", 40 * 36)  # of the patches of forty images of 8x8
    images = rng.integers(0, 256, (count, 1, 8, 8), dtype=np.uint8)
    found = patches.compute_patch_covariance(images)
    np.testing.assert_allclose(found, patches_by_numpy(images[::step]), rtol=1e-12, atol=1e-15)


def test_memory_of_patches_stays_bounded_for_large_images(rng, monkeypatch):
    monkeypatch.setattr(patches.os, "cpu_count", lambda: 2)
    images = np.broadcast_to(rng.integers(0, 256, (1, 3, 32, 1), dtype=np.uint8), (1, 3, 32, 60_000))
    tracemalloc.start()
    patches.compute_patch_covariance(images)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64e6


@pytest.mark.parametrize("shape", [(9, 3, 2, 8), (9, 1, 8, 1), (9, 1, 2, 2)])
def test_images_below_3x3_have_no_patches(rng, shape):
    assert compute_statistics(rng.integers(0, 256, shape, dtype=np.uint8)).patch_covariance == ()


def test_statistics_of_an_older_version_are_an_error_with_a_remedy(rng, tmp_path):
    content = dataclasses.asdict(compute_statistics(rng.integers(0, 256, (5, 3, 4, 4), dtype=np.uint8)))
    del content["patch_covariance"]
    write_checked_json(tmp_path / "old.json", content)
    with pytest.raises(InputError) as error:
        load_statistics(tmp_path / "old.json")
    assert str(error.value) == (
        f"{tmp_path / 'old.json'}: invalid file (patch_covariance: is missing); name another file, or write it again "
        "(dvc repro writes the outputs of stages)"
    )


@pytest.mark.parametrize("rows", [((0.0,),), ((0.0,) * 27,) * 26, ((0.0,) * 9,) * 9])
def test_a_covariance_of_another_size_is_an_error(rng, tmp_path, rows):
    found = compute_statistics(rng.integers(0, 256, (5, 3, 4, 4), dtype=np.uint8))
    dataclasses.replace(found, patch_covariance=rows).save(tmp_path / "x.json")
    with pytest.raises(InputError, match=r"x\.json: its patch_covariance must have 27x27 numbers; "):
        load_statistics(tmp_path / "x.json")


def test_too_few_pixels_are_an_error():
    with pytest.raises(InputError, match="statistics need at least 2 pixels, the images have 1; add images"):
        compute_statistics(np.zeros((1, 1, 1, 1), np.uint8))


def test_saving_and_loading_keeps_every_bit(rng, tmp_path):
    found = compute_statistics(rng.integers(0, 256, (50, 3, 4, 4), dtype=np.uint8))
    found.save(tmp_path / "metrics" / "statistics.json")
    assert load_statistics(tmp_path / "metrics" / "statistics.json") == found
