import numpy as np
import pytest
import torch
from tensors import draw_he_weights
from torch import nn

from deepen.data.images import ImageSet
from deepen.evaluation.accuracy import evaluate, infer
from deepen.evaluation.views import Views, compute_dense_logits
from deepen.models.layers import plan
from deepen.models.vgg import build_network

MEAN = torch.tensor([0.5, 0.4, 0.3])
NETS = [
    ("conv3-8 maxpool conv3-8 maxpool fc-16*2", "none"),
    ("conv3-8 maxpool conv3-8 maxpool fc-16*2", "batch"),
    ("conv3-8*2", "none"),  # whose head sees a convolution
    ("conv3-8 maxpool maxpool maxpool fc-4", "batch"),
    ("whiten2-24 conv3-8 maxpool3 fc-4", "batch"),
]


def net(layers, norm="none", image=(3, 8, 12), classes=5):
    """A network whose norms, if any, are not those of a start."""
    laid_out = plan(layers, width=1, image=image, classes=classes, norm=norm)
    state = draw_he_weights(laid_out, seed=0, model="I")
    draws = torch.Generator().manual_seed(1)
    for key, tensor in state.items():
        if "norm" in key:
            tensor.copy_(torch.rand(tensor.shape, generator=draws) + 0.5)
    return build_network(laid_out, state).eval()


@pytest.fixture
def images(rng):
    """Larger than the networks take, by an odd number of pixels too."""
    return torch.from_numpy(rng.integers(0, 256, (6, 3, 17, 20), dtype="uint8"))


def normalized(images):
    return images / 255 - MEAN[:, None, None]


def probabilities(network, images, kind, flips=False, size=(8, 12)):
    with torch.inference_mode():
        return infer(network, images, MEAN, flip_averaging=flips, dtype=torch.float32, views=Views(kind, size))


@pytest.mark.parametrize(("layers", "norm"), NETS)
def test_dense_is_the_plain_network_where_images_are_what_it_takes(layers, norm):
    plain, images = net(layers, norm), torch.rand(4, 3, 8, 12) - 0.5
    with torch.inference_mode():
        torch.testing.assert_close(compute_dense_logits(plain, images), plain(images), atol=1e-5, rtol=1e-4)


def test_dense_is_the_mean_at_every_place_for_kernels_without_padding_and_larger_pools():
    plain = net("conv2-8 maxpool3 conv1-8", image=(3, 7, 10))
    images = torch.rand(4, 3, 13, 19) - 0.5
    with torch.inference_mode():
        crops = [plain(images[:, :, y : y + 7, x : x + 10]) for y in (0, 3, 6) for x in (0, 3, 6, 9)]
        torch.testing.assert_close(
            compute_dense_logits(plain, images), torch.stack(crops).mean(0), atol=1e-5, rtol=1e-4
        )


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_dense_is_the_mean_of_the_logits_at_every_place(norm):
    """Without padding in the way, which reaches two pixels in, each place is a crop."""
    plain = net("conv1-8*2 maxpool conv1-8 maxpool fc-16*2", norm)
    images = torch.rand(4, 3, 16, 20) - 0.5
    with torch.inference_mode():
        crops = [plain(images[:, :, y : y + 8, x : x + 12]) for y in (0, 4, 8) for x in (0, 4, 8)]
        torch.testing.assert_close(
            compute_dense_logits(plain, images), torch.stack(crops).mean(0), atol=1e-5, rtol=1e-4
        )


@pytest.mark.parametrize("flips", [False, True])
def test_dense_takes_the_softmax_of_means_and_means_it_with_that_of_the_mirror_image(images, flips):
    plain = net(*NETS[0])
    with torch.inference_mode():
        both = [
            compute_dense_logits(plain, each).softmax(1) for each in (normalized(images), normalized(images).flip(3))
        ]
    logits, found = probabilities(plain, images, "dense", flips)
    torch.testing.assert_close(found, torch.stack(both[: 1 + flips]).mean(0))
    torch.testing.assert_close(logits, probabilities(plain, images, "centre")[0])


@pytest.mark.parametrize("flips", [False, True])
def test_crops_are_a_grid_from_edge_to_edge(images, flips):
    plain, batch, found = net(*NETS[0]), normalized(images), []
    with torch.inference_mode():
        for y in (0, 2, 4, 7, 9):  # of 9 pixels to spare: 0, 2.25, 4.5, 6.75, 9
            for x in (0, 2, 4, 6, 8):
                crop = batch[:, :, y : y + 8, x : x + 12]
                found += [plain(crop).softmax(1)] + ([plain(crop.flip(3)).softmax(1)] if flips else [])
    assert len(found) == 25 * (1 + flips)
    torch.testing.assert_close(probabilities(plain, images, "crops", flips)[1], torch.stack(found).mean(0))


def test_a_single_crop_is_evaluated_once():
    calls = []

    class Counting(nn.Module):
        def forward(self, images):
            calls.append(images.shape)
            return images.mean((2, 3))

    batch = torch.zeros(2, 3, 8, 10, dtype=torch.uint8)
    probabilities(Counting(), batch, "crops", size=(8, 8))
    assert calls[:-1] == [(2, 3, 8, 8)] * 3  # from column 0, 1 and 2; and the centre, for the loss
    calls.clear()
    probabilities(Counting(), batch[:, :, :, :8], "crops", size=(8, 8))
    assert len(calls) == 2


@pytest.mark.parametrize("size", [(8, 12), None])
def test_the_centre_is_the_middle_and_without_a_size_everything(images, size):
    plain = net(*NETS[0], image=(3, *(size or (17, 20))))
    middle = images[:, :, 4:12, 4:16] if size else images
    with torch.inference_mode():
        expected = plain(normalized(middle))
    logits, found = probabilities(plain, images, "centre", size=size)
    torch.testing.assert_close(logits, expected)
    torch.testing.assert_close(found, expected.softmax(1))


@pytest.mark.parametrize("flips", [False, True])
def test_shifts_are_the_centre_and_one_pixel_up_left_and_down_right_with_reflected_edges(images, flips):
    plain, middle = net(*NETS[0]), normalized(images)[:, :, 4:12, 4:16]
    rows, columns = [1, *range(8), 6], [1, *range(12), 10]  # of the image with reflected edges
    larger = middle[:, :, rows][:, :, :, columns]
    views = [middle, larger[:, :, :8, :12], larger[:, :, 2:, 2:]]
    with torch.inference_mode():
        found = [plain(each).softmax(1) for view in views for each in ((view, view.flip(3)) if flips else (view,))]
    logits, probability = probabilities(plain, images, "shifts", flips)
    torch.testing.assert_close(probability, torch.stack(found).mean(0))
    torch.testing.assert_close(logits, probabilities(plain, images, "centre")[0])


def test_shifts_of_a_single_row_repeat_it():
    plain, row = net("conv3-8", image=(3, 1, 5)), torch.randint(256, (2, 3, 1, 5), dtype=torch.uint8)
    batch = normalized(row)
    views = [batch, batch[..., [0, 0, 1, 2, 3]], batch[..., [1, 2, 3, 4, 4]]]
    with torch.inference_mode():
        expected = torch.stack([plain(view).softmax(1) for view in views]).mean(0)
    torch.testing.assert_close(probabilities(plain, row, "shifts", size=None)[1], expected)


def test_evaluation_counts_with_the_views_and_keeps_the_centre_beside(images):
    plain, few = net(*NETS[1]), ImageSet(images.numpy(), np.array([0, 1, 2, 3, 4, 0]), ())
    options = {"flip_averaging": True, "batch_size": 4}
    centre, crops = (evaluate(plain, few, MEAN, **options, views=Views(kind, (8, 12))) for kind in ("centre", "crops"))  # fmt: skip
    assert crops.loss == pytest.approx(centre.loss, rel=1e-5)
    assert crops.correct_single == centre.correct_single
    expected = probabilities(plain, images, "crops", flips=True)[1]
    assert torch.equal(crops.predicted, expected.argmax(1))
    torch.testing.assert_close(crops.probability, expected.max(1).values)


def test_a_network_of_other_make_can_t_be_dense(images):
    with pytest.raises(TypeError, match="Flatten can't be evaluated densely; use"):
        compute_dense_logits(nn.Flatten(), images)
