from types import SimpleNamespace

import numpy as np
import pytest
import torch
from kernels import list_kernels
from scipy.optimize import minimize
from sklearn.utils.class_weight import compute_class_weight
from test_training import recipe, trainer_for

from deepen.data.images import ImageSet
from deepen.evaluation.accuracy import evaluate
from deepen.training.loop import train
from deepen.training.loss import Loss, balanced_weights, frequency_loss

CPU = torch.device("cpu")
LABELS = np.array([0] * 12 + [1] * 3 + [2] * 6)


def test_the_least_loss_is_that_of_the_smoothed_labels():
    for smoothing, least in ((0.0, 0.0), (0.3, -(0.8 * np.log(0.8) + 0.2 * np.log(0.1)))):
        found = loss(label_smoothing=smoothing)
        assert found.least == pytest.approx(least)
        said = torch.tensor([[1 - smoothing * 2 / 3, smoothing / 3, smoothing / 3]]).clamp(1e-30).log()
        assert float(found(said, torch.tensor([0]))) == pytest.approx(least, abs=1e-6)


def loss(labels=LABELS, classes=3, **changes):
    return Loss(labels, classes, recipe(**changes), CPU)


def logits(rows, classes=3):
    return torch.randn(rows, classes, generator=torch.Generator().manual_seed(0), requires_grad=True)


def test_the_weights_are_those_of_scikit_learn_and_their_mean_is_one():
    found = balanced_weights(LABELS, 3)
    assert np.allclose(found, compute_class_weight("balanced", classes=np.arange(3), y=LABELS))
    assert found[LABELS].mean() == pytest.approx(1)


def test_a_class_without_images_takes_no_weight_from_the_others():
    assert balanced_weights(np.array([0, 0, 2, 2, 2, 2]), 4).tolist() == [1.5, 0, 0.75, 0]


def test_the_loss_without_weights_is_torch_s_bit_for_bit():
    scores, labels = logits(len(LABELS)), torch.from_numpy(LABELS)
    expected = torch.nn.functional.cross_entropy(scores, labels, label_smoothing=0.1)
    assert torch.equal(loss(label_smoothing=0.1)(scores, labels), expected)


@pytest.mark.parametrize("kind", ["none", "balanced"])
def test_few_kernels_compute_the_same_loss_and_gradient(kind):
    labels, found, kernels = torch.from_numpy(LABELS), [], []
    this = loss(class_weights=kind, label_smoothing=0.1)
    for compute in (this._compute, this._compute_in_few_kernels):
        scores = logits(len(LABELS))
        found.append((compute(scores, labels), *torch.autograd.grad(compute(scores, labels), scores)))
        kernels.append(list_kernels(compute_gradient, compute, scores, labels).total())
    for expected, actual in zip(*found, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-6, atol=1e-7)
    assert kernels[1] <= 11 < kernels[0]


def compute_gradient(compute, scores, labels):
    compute(scores, labels).backward()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_few_kernels_are_for_smoothed_labels_on_cuda(monkeypatch, smoothing):
    chosen = []
    for form in ("_compute", "_compute_in_few_kernels"):
        monkeypatch.setattr(Loss, form, lambda self, scores, labels, form=form: chosen.append(form))
    for cuda in (False, True):
        scores = SimpleNamespace(dtype=torch.float32, is_cuda=cuda)
        scores.to = lambda dtype, scores=scores: scores
        loss(label_smoothing=smoothing)(scores, None)
    assert chosen == ["_compute", "_compute_in_few_kernels" if smoothing else "_compute"]


@pytest.mark.parametrize("kind", ["none", "balanced"])
def test_it_is_float32_for_bfloat16_logits(kind):
    scores, labels = logits(len(LABELS)).bfloat16(), torch.from_numpy(LABELS)
    found = loss(class_weights=kind, label_smoothing=0.1)(scores, labels)
    assert found.dtype == torch.float32
    assert torch.equal(found, loss(class_weights=kind, label_smoothing=0.1)(scores.float(), labels))


def test_classes_of_one_size_are_not_weighted():
    labels = np.arange(21) % 7
    scores = logits(21, 7)
    plain, balanced = (loss(labels, 7, class_weights=kind)(scores, torch.from_numpy(labels)) for kind in ("none", "balanced"))  # fmt: skip
    assert balanced.item() == pytest.approx(plain.item(), rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_balanced_is_as_if_the_images_of_small_classes_were_there_more_often(smoothing):
    often = np.concatenate([np.arange(12), np.tile(np.arange(12, 15), 4), np.tile(np.arange(15, 21), 2)])
    labels, gradients = torch.from_numpy(LABELS), []
    for rows, kind in ((np.arange(21), "balanced"), (often, "none")):
        scores = logits(21)
        loss(class_weights=kind, label_smoothing=smoothing)(scores[rows], labels[rows]).backward()
        gradients.append(scores.grad)
    assert torch.allclose(*gradients, atol=1e-7)
    unweighted = logits(21)
    loss(label_smoothing=smoothing)(unweighted, labels).backward()
    assert not torch.allclose(gradients[0], unweighted.grad, atol=1e-3)


@pytest.mark.parametrize("kind", ["none", "balanced"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_no_network_that_says_the_same_of_each_image_is_below_the_loss_of_the_frequencies(kind, smoothing):
    measure, labels = loss(class_weights=kind, label_smoothing=smoothing), torch.from_numpy(LABELS)

    def of(scores):
        return measure(torch.tensor(scores).expand(len(LABELS), 3), labels).item()

    assert measure.guessing_loss == pytest.approx(minimize(of, np.zeros(3)).fun, rel=1e-5)


def test_the_loss_of_frequencies_is_their_entropy():
    assert frequency_loss(np.array([0, 1]), 2) == pytest.approx(np.log(2))
    assert frequency_loss(np.array([1, 1]), 3) == 0


def test_a_small_class_that_is_ignored_is_recognized_with_balanced_weights(rng):
    """Two classes that overlap, 20 to 1: where no image tells for sure, the larger one is the better guess."""
    labels = np.repeat([0, 1], [200, 10])
    pixels = rng.integers(0, 120, (210, 3, 8, 8)).astype(np.uint8)
    pixels[:, 0] += (10 * rng.normal(size=(210, 1, 1)) + 25 + 12 * labels[:, None, None]).clip(0, 130).astype(np.uint8)
    images, recalls = ImageSet(pixels, labels, ("large", "small")), {}
    for kind in ("none", "balanced"):
        trainer = trainer_for(images, recipe(class_weights=kind, batch_size=21), epochs=6)
        train(trainer, images)
        found = evaluate(trainer.network, images, trainer.mean, flip_averaging=False, batch_size=210)
        right = (found.predicted.numpy() == labels).astype(float)
        recalls[kind] = [right[labels == label].mean() for label in (0, 1)]
    assert recalls["none"][1] < 0.3
    assert np.mean(recalls["balanced"]) > np.mean(recalls["none"]) + 0.15
