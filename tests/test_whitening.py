"""The layer that whitens patches of images: its weights, in training, and in growth by identity."""

import numpy as np
import pytest
import torch
from conftest import LADDER
from tensors import as_tensors
from test_settings import changed
from test_training import recipe, trainer_for

from deepen.config.settings import check_settings
from deepen.core.errors import InputError
from deepen.data.statistics import compute_statistics
from deepen.growth.capacity import estimate_training_bytes
from deepen.growth.initialization import draw_fresh_weights, initialize_model
from deepen.growth.ladder import plan_ladder
from deepen.growth.whitening import compute_whitening
from deepen.models.layers import count_parameters, plan
from deepen.models.tensors import to_arrays
from deepen.models.vgg import build_network
from deepen.training.loop import train

SHALLOW = "whiten2-24 conv3-32 conv2-32 maxpool3 conv3-32"
DEEP = "whiten2-24 conv3-32*2 conv2-32 maxpool3 conv3-32*2"
MAPPED = {"conv1_3": "conv1_2"}


@pytest.fixture
def natural(rng):
    """Images whose neighbouring pixels are alike, as those of photos are."""
    noise = rng.normal(0, 60, (200, 3, 13, 13))
    smooth = noise[:, :, :-1, :-1] + noise[:, :, 1:, :-1] + noise[:, :, :-1, 1:] + noise[:, [1, 2, 0], 1:, 1:]
    return (smooth + 128).clip(0, 255).astype(np.uint8)


def whiten(images, text):
    layers = plan(text, width=0.5, image=images.shape[1:], classes=2)
    state = compute_whitening(layers, compute_statistics(images).patch_covariance)
    weight = torch.from_numpy(state["whiten.weight"])
    assert not state["whiten.bias"].any()
    return torch.nn.functional.conv2d(torch.from_numpy(images) / 255, weight).double()


@pytest.mark.parametrize(("kernel", "filters"), [(2, 24), (2, 10), (3, 54)])
def test_whitened_patches_are_uncorrelated_with_unit_variance(natural, kernel, filters):
    cut = natural if kernel == 3 else natural[:, :, :-1, :-1]  # the corners of 3x3 patches miss the last row and column
    found = whiten(cut if kernel == 3 else natural, f"whiten{kernel}-{filters} conv3-8")
    inside = found if kernel == 3 else found[:, :, :-1, :-1]
    covariance = np.cov(inside.transpose(0, 1).flatten(1)[: filters // 2])
    np.testing.assert_allclose(covariance, np.eye(filters // 2), atol=0.02)
    torch.testing.assert_close(found[:, filters // 2 :], -found[:, : filters // 2])


def test_the_first_filters_are_the_largest_components(natural):
    few, all_of_them = (
        compute_whitening(
            plan(f"whiten2-{filters} conv3-8", width=1, image=(3, 12, 12), classes=2),
            compute_statistics(natural).patch_covariance,
        )["whiten.weight"]
        for filters in (6, 24)
    )
    np.testing.assert_array_equal(few[:3], all_of_them[:3])
    norms = np.linalg.norm(all_of_them[:12].reshape(12, -1), axis=1)
    assert list(norms) == sorted(norms)  # 1 / the standard deviation


def test_images_of_one_colour_give_finite_weights():
    layers = plan("whiten3-54 conv3-8", width=1, image=(3, 8, 8), classes=2)
    grey = np.full((10, 3, 8, 8), 90, np.uint8)
    weight = compute_whitening(layers, compute_statistics(grey).patch_covariance)["whiten.weight"]
    assert np.isfinite(weight).all()
    assert abs(weight).max() < 200


def test_networks_without_whitening_have_no_such_weights():
    assert compute_whitening(plan(LADDER["I"], width=1, image=(3, 8, 8), classes=2), ()) == {}


def ladder(images, norm="none", **changes):
    """A ladder of two models on these images, and the weights of the first one after it was trained."""
    models = {
        "I": changed()["models"]["I"] | {"layers": SHALLOW, "norm": norm},
        "II": changed()["models"]["II"] | {"layers": DEEP, "norm": norm, "mapping": _map_norms(norm)}
        | {"fresh": ["conv1_2", "conv2_2", *(["norm1_2", "norm2_2"] if norm == "batch" else [])]},
    }  # fmt: skip
    settings = check_settings(changed(models=models, depth="II", width=0.5, datasets__digits__width=0.5) | changes)
    plans = plan_ladder(settings, images.shape, 3)
    covariance = compute_statistics(images.images).patch_covariance
    fresh = {name: draw_fresh_weights(layers, covariance, seed=0, model=name) for name, layers in plans.items()}
    start, report = initialize_model(settings, "I", plans, {}, fresh["I"])
    assert {transfer.start for transfer in report.tensors if transfer.target.startswith("whiten.")} == {"whitening"}
    trainer = trainer_for(images, recipe(), layers=plans["I"], state=as_tensors(start))
    train(trainer, images)
    return settings, plans, fresh, start, to_arrays(trainer.network.state_dict())


def _map_norms(norm):
    return MAPPED | ({"norm1_3": "norm1_2"} if norm == "batch" else {})


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_growth_by_identity_keeps_the_function_and_the_whitening(colored, norm):
    settings, plans, fresh, start, trained = ladder(colored, norm)
    assert np.array_equal(start["whiten.weight"], trained["whiten.weight"])
    assert not np.array_equal(start["conv1_1.weight"], trained["conv1_1.weight"])
    grown, report = initialize_model(settings, "II", plans, trained, fresh["II"])
    transfers = {transfer.target: (transfer.kind, transfer.source, transfer.start) for transfer in report.tensors}
    assert transfers["whiten.weight"] == ("copied", "whiten.weight", None)
    assert transfers["conv2_2.weight"] == ("fresh", None, "identity")
    assert np.array_equal(grown["whiten.weight"], start["whiten.weight"])
    images = torch.rand(50, 3, 8, 8) - 0.5
    with torch.inference_mode():
        shallow, deep = (build_network(plans[name], state).eval()(images) for name, state in (("I", trained), ("II", grown)))  # fmt: skip
    torch.testing.assert_close(deep, shallow, atol=1e-5, rtol=1e-5)


def test_a_fresh_whitening_layer_can_t_grow_by_identity():
    models = {
        "I": changed()["models"]["I"] | {"layers": "conv1-24 conv3-24"},
        "II": changed()["models"]["II"]
        | {"layers": "whiten3-24 conv3-24 conv3-24", "mapping": {"conv1_1": "conv1_2"}}
        | {"fresh": ["whiten", "conv1_2"], "dropped": ["conv1_1"]},
    }
    settings = check_settings(changed(models=models, depth="II", width=1.0))
    with pytest.raises(
        InputError, match="after I: whiten is the first layer, growth: identity needs a ReLU before; use"
    ):
        plan_ladder(settings, (3, 8, 8), 3)
    plans = plan_ladder(settings.model_copy(update={"growth": "random"}), (3, 8, 8), 3)
    assert [layer.role for layer in plans["II"] if layer.frozen] == ["whiten"]


def test_pools_of_another_size_can_t_grow_by_identity():
    models = {
        "I": changed()["models"]["I"] | {"layers": "conv3-24 maxpool maxpool3"},
        "II": changed()["models"]["II"] | {"layers": "conv3-24*2 maxpool maxpool"},
    }
    settings = check_settings(changed(models=models, depth="II"))
    with pytest.raises(
        InputError, match=r"models\.II: after I: pool2 takes 2x2 pixels here and 3x3 there, growth: identity"
    ):
        plan_ladder(settings, (3, 6, 6), 3)
    plan_ladder(settings.model_copy(update={"growth": "copy"}), (3, 6, 6), 3)


def test_freezing_all_layers_but_the_whitening_leaves_nothing_to_train():
    models = {
        "I": changed()["models"]["I"] | {"layers": "conv3-24"},
        "II": changed()["models"]["II"]
        | {"layers": "whiten3-24 conv3-24", "frozen": ["conv1_1", "head"], "fresh": ["whiten"], "mapping": {}},
    }
    settings = check_settings(changed(models=models, depth="II", growth="random"))
    with pytest.raises(InputError, match="all layers are frozen, so nothing would train"):
        plan_ladder(settings, (24, 8, 8), 3)


def test_whitening_takes_no_memory_for_gradients_and_is_not_narrowed():
    layers = plan("whiten2-12 conv3-8", width=0.5, image=(3, 5, 5), classes=2)
    learning = count_parameters(layers[1:])
    activations = 4 * 16 + 2
    assert estimate_training_bytes(layers, 10) == 4 * (12 * 12 + 12 + 3 * learning) + 2 * 10 * activations
