import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional

from deepen.data.images import ImageSet
from deepen.evaluation.accuracy import evaluate, rank_labels


class Scores(nn.Module):
    """Returns the channel means of the images as logits: what is brightest is most probable."""

    def forward(self, images):
        return images.mean(dim=(2, 3)) * 9


class LeftScores(nn.Module):
    """Looks at the left column only, so that a mirrored image gives another answer."""

    def forward(self, images):
        return images[:, :, :, 0].mean(dim=2) * 9


def run(network, images, labels, **options):
    found = ImageSet(images.numpy(), labels.numpy(), ())
    return evaluate(
        network, found, torch.zeros(found.shape[0]), **{"flip_averaging": False, "batch_size": 7, **options}
    )


def test_ranks_count_the_classes_ahead_and_ties_go_to_the_first():
    scores = torch.tensor([[3.0, 1.0, 2.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [float("nan")] * 3])
    assert rank_labels(scores, torch.tensor([2, 0, 2, 0])).tolist() == [1, 0, 2, 3]


def test_top_k_agrees_with_torch_topk_and_the_batches_don_t_matter(rng):
    images = torch.from_numpy(rng.integers(0, 256, (100, 8, 2, 2), dtype="uint8"))
    labels = torch.from_numpy(rng.integers(0, 8, 100))
    found = run(Scores(), images, labels)
    logits = Scores()(images / 255)
    for k in range(1, 6):
        expected = (logits.topk(k).indices == labels[:, None]).any(1).sum()
        assert found.correct[k - 1] == found.correct_single[k - 1] == expected
        assert found.percent(k) == 100 * expected / 100
    assert found.loss == pytest.approx(functional.cross_entropy(logits, labels).item(), rel=1e-6)
    assert torch.equal(found.predicted, logits.argmax(1))
    assert found.correct == run(Scores(), images, labels, batch_size=100).correct


def test_top_k_stops_at_the_number_of_classes(rng):
    images = torch.from_numpy(rng.integers(0, 256, (10, 3, 2, 2), dtype="uint8"))
    found = run(Scores(), images, torch.zeros(10, dtype=torch.long))
    assert len(found.correct) == 3
    assert found.correct[2] == 10


def test_flip_averaging_averages_probabilities_and_keeps_the_single_view_beside():
    images = torch.zeros(2, 2, 1, 2, dtype=torch.uint8)
    images[0, 1, 0, 0], images[0, 0, 0, 1] = 100, 255  # on the left class 1, on the right, more so, class 0
    images[1, 1, 0, 0] = 255
    labels = torch.tensor([0, 1])
    single = run(LeftScores(), images, labels)
    both = run(LeftScores(), images, labels, flip_averaging=True)
    assert single.correct == single.correct_single == both.correct_single == (1, 2)
    assert both.correct == (2, 2)
    assert (both.percent_single(1), both.percent_single(2)) == (50, 100)
    assert both.loss == single.loss


def test_a_network_that_gives_no_numbers_is_never_right():
    class Broken(nn.Module):
        def forward(self, images):
            return torch.full((len(images), 3), float("nan"))

    assert run(Broken(), torch.zeros(4, 1, 1, 1, dtype=torch.uint8), torch.tensor([0, 1, 2, 0])).correct == (0, 0, 0)


def test_evaluating_no_images_is_an_error():
    with pytest.raises(ValueError, match="evaluate needs at least one image"):
        run(Scores(), torch.zeros(0, 3, 2, 2, dtype=torch.uint8), torch.zeros(0, dtype=torch.long))


def test_the_device_is_read_once_an_evaluation(rng, monkeypatch):
    reads, read = [], torch.Tensor.cpu

    def count(tensor):
        reads.append(len(tensor))
        return read(tensor)

    monkeypatch.setattr(torch.Tensor, "cpu", count)
    images = torch.from_numpy(rng.integers(0, 256, (100, 8, 2, 2), dtype="uint8"))
    found = run(Scores(), images, torch.from_numpy(rng.integers(0, 8, 100)), batch_size=7)
    assert len(reads) == 1
    assert len(found.predicted) == len(found.probability) == 100


@pytest.mark.cuda
def test_an_evaluation_waits_for_the_device_at_its_start_and_its_end_on_cuda(rng, wait_mode):
    labels = rng.integers(0, 8, 100)
    found = ImageSet(rng.integers(0, 256, (100, 8, 2, 2), dtype="uint8"), labels, ())
    mean = torch.zeros(8, device="cuda")
    evaluate(Scores(), found, mean, flip_averaging=True, batch_size=7)
    wait_mode("warn")
    with warnings.catch_warnings(record=True) as waits:
        warnings.simplefilter("always")
        evaluate(Scores(), found, mean, flip_averaging=True, batch_size=7)
    assert len(waits) == 2  # labels, and results
