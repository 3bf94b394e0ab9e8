"""Prediction and evaluation take fewer images at once where the device runs out of memory."""

import numpy as np
import pytest
import torch
from test_precision import weights  # noqa: F401

from deepen.core.errors import InputError
from deepen.data.images import ImageSet
from deepen.inference import classifier as module
from deepen.inference.classifier import BATCH


def limit(monkeypatch, most):
    """Have a device that runs out of memory with more than `most` images at once; return how many were tried."""
    tried = []
    from deepen.evaluation import accuracy

    def infer(network, images, *arguments, real=accuracy.infer, **options):
        tried.append(len(images))
        if len(images) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB.\nGPU 0 has ...")
        return real(network, images, *arguments, **options)

    monkeypatch.setattr(module, "infer", infer)
    monkeypatch.setattr(accuracy, "infer", infer)
    return tried


@pytest.fixture
def network(weights):  # noqa: F811
    return module.Classifier(weights, "cpu")


def test_prediction_goes_on_with_half_as_many(network, rng, monkeypatch):
    pixels = rng.integers(0, 256, (11, 8, 8, 3), dtype=np.uint8)
    whole = network.predict(pixels)
    tried = limit(monkeypatch, 3)
    np.testing.assert_allclose(network.predict(pixels), whole, atol=1e-6)
    assert tried == [11, 5, 2, 3, 6, 3, 3]


def test_evaluation_begins_again_with_half_as_many(network, rng, monkeypatch):
    pixels = rng.integers(0, 256, (300, 3, 8, 8), dtype=np.uint8)
    images = ImageSet(pixels, rng.integers(0, 2, 300), network.classes)
    whole = network.evaluate(images)
    tried = limit(monkeypatch, 100)
    found = network.evaluate(images)
    assert (found.correct, found.images) == (whole.correct, 300)
    assert tried == [BATCH, BATCH // 2, *[BATCH // 4] * 4, 300 % (BATCH // 4)]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_too_little_for_a_single_image_is_one_error_with_a_remedy(network, rng, monkeypatch, device):
    pixels = rng.integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    images = ImageSet(pixels.transpose(0, 3, 1, 2), np.zeros(5, np.int64), network.classes)
    limit(monkeypatch, 0)
    remedy = {"cpu": "use a machine with more memory", "cuda": "use the device cpu"}[device]
    cause = r"\(CUDA out of memory. Tried to allocate 1.00 GiB.\); "
    monkeypatch.setattr(module, "infer_in_parts", on(device, module.infer_in_parts))
    monkeypatch.setattr(module, "evaluate_in_smaller_batches", on(device, module.evaluate_in_smaller_batches))
    for what, compute in (
        ("predicting", lambda: network.predict(pixels)),
        ("evaluating", lambda: network.evaluate(images)),
    ):
        told = rf"{what} 1 image at once ran out of memory on {device} {cause}{remedy}, or close other programs that use its memory$"
        with pytest.raises(InputError, match=told):
            compute()


def on(device, function):
    """Have a function believe that it is on this device."""
    return lambda compute, images, _: function(compute, images, torch.device(device))


def test_other_errors_stay_what_they_are(network, rng, monkeypatch):
    def fail(*arguments, **options):
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(module, "infer", fail)
    with pytest.raises(RuntimeError, match="no such kernel"):
        network.predict(rng.integers(0, 256, (5, 8, 8, 3), dtype=np.uint8))
