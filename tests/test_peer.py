"""The network and training of cifar10-airbench, against the numbers and rules of its paper."""

import numpy as np
import pytest
import torch
from conftest import make_colored
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.peer.images import AlternatingImages, Normalization
from benchmarks.peer.network import PeerNetwork, compute_whitening, count_peer_flops
from benchmarks.peer.optimization import Lookahead, NormalizedMuon, compute_triangle, orthogonalize
from benchmarks.peer.recipes import MUON, RECIPES, SGD
from benchmarks.peer.training import PeerTrainer, count_whitening_flops, plan_training
from benchmarks.peer.views import evaluate_peer, infer
from deepen.core.errors import InputError
from deepen.data.statistics import compute_statistics

CPU = torch.device("cpu")
CIFAR = 50_000


@pytest.fixture
def photos(rng):
    return make_colored(rng, side=32)


def make_network(width, classes=10, divisor=9.0):
    return PeerNetwork(torch.randn(24, 3, 2, 2), width=width, classes=classes, divisor=divisor)


def make_trainer(photos, recipe, steps=9, seed=0):
    recipe = recipe.model_copy(update={"batch_size": 20, "whitening_bias_epochs": 1.0})
    per_step = 20 * count_peer_flops(0.0625, 3, bias_learns=True)
    plan = plan_training(recipe, width=0.0625, classes=3, images=60, budget=steps * per_step)
    statistics = compute_statistics(photos.images)
    return PeerTrainer(photos, statistics, recipe, plan, width=0.0625, seed=seed, device=CPU, dtype=torch.float32)


def test_the_network_has_the_parameters_of_the_paper():
    network = make_network(1.0)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    scales = sum(module.weight.numel() for module in network.modules() if isinstance(module, nn.BatchNorm2d))
    assert round((parameters - scales) / 1e6, 2) == 1.97


@pytest.mark.slow  # the import of the counter
@pytest.mark.parametrize("learns", [True, False])
def test_flops_are_those_that_pytorch_counts(learns):
    network = make_network(0.25)
    network.whitening.bias.requires_grad_(learns)
    with FlopCounterMode(display=False) as counter:
        network(torch.randn(2, 3, 32, 32)).sum().backward()
    assert counter.get_total_flops() == 2 * count_peer_flops(0.25, 10, bias_learns=learns)


@pytest.mark.parametrize(("recipe", "epochs", "pflop"), [(SGD, 9.9, 0.36), (MUON, 8, 0.29)])
def test_a_training_of_the_papers_length_costs_what_it_states(recipe, epochs, pflop):
    plan = plan_training(recipe, width=1.0, classes=10, images=CIFAR, budget=pflop * 1e15)
    assert plan.flops <= pflop * 1e15
    reached = plan.steps / (CIFAR // recipe.batch_size)
    assert epochs < reached < 1.08 * epochs  # the paper counts all layers thrice, the whitened ones too


def test_a_plan_spends_its_budget_to_within_a_step():
    one_step = MUON.batch_size * count_peer_flops(0.5, 10, bias_learns=True)
    plan = plan_training(MUON, width=0.5, classes=10, images=CIFAR, budget=0.1e15)
    assert plan.bias_steps == 75
    assert 0.1e15 - one_step < plan.flops <= 0.1e15


def test_a_short_plan_lets_the_bias_learn_to_the_end():
    plan = plan_training(SGD, width=1.0, classes=10, images=CIFAR, budget=0.02e15)
    assert plan.bias_steps == plan.steps < 3 * (CIFAR // SGD.batch_size)


@pytest.mark.parametrize(("images", "budget"), [(CIFAR, 1e9), (500, 1e15)])
def test_a_plan_without_a_step_is_an_error(images, budget):
    with pytest.raises(
        InputError, match=rf"batch is 1024 images, .* as many training images, of {images}, and a larger"
    ):
        plan_training(SGD, width=1.0, classes=10, images=images, budget=budget)


def test_the_first_filters_whiten_patches(photos):
    images = Normalization(compute_statistics(photos.images), CPU)(to_pixels(photos))
    weights = compute_whitening(images)
    assert torch.equal(weights[:12], -weights[12:])
    outputs = functional.conv2d(images, weights[:12]).transpose(0, 1).flatten(1).double()
    moments = outputs @ outputs.T / outputs.shape[1]
    assert torch.allclose(moments, torch.diag(moments.diagonal()), atol=1e-3)  # uncorrelated
    assert ((moments.diagonal() > 0.9) & (moments.diagonal() <= 1.001)).all()


def test_whitening_is_charged_for_the_images_it_looks_at():
    assert count_whitening_flops(5_000) == count_whitening_flops(CIFAR) == 5_000 * 31**2 * 2 * 12**2


def test_normalized_channels_have_mean_0_and_deviation_1(photos):
    normalized = Normalization(compute_statistics(photos.images), CPU)(to_pixels(photos))
    assert torch.allclose(normalized.mean((0, 2, 3)), torch.zeros(3), atol=1e-4)
    assert torch.allclose(normalized.std((0, 2, 3)), torch.ones(3), atol=1e-3)


def test_images_of_one_colour_are_an_error(photos):
    photos.images[:] = np.array([120, 130, 140])[:, None, None]
    with pytest.raises(InputError, match="the peer divides by the standard deviation of each channel, and one is 0; "):
        Normalization(compute_statistics(photos.images), CPU)


def test_the_first_channels_of_a_convolution_start_as_its_input():
    for convolution in (module for module in make_network(0.5).blocks if isinstance(module, nn.Conv2d)):
        x = torch.randn(1, convolution.in_channels, 5, 5)
        assert torch.allclose(convolution(x)[:, : convolution.in_channels], x, atol=1e-6)


def test_a_divisor_of_0_is_the_number_of_the_heads_inputs():
    network, same = make_network(0.25, divisor=0.0), make_network(0.25, divisor=64.0)
    same.load_state_dict(network.state_dict())
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(network(x), same(x))


def test_an_image_is_mirrored_in_every_other_epoch(photos):
    images = AlternatingImages(photos, lambda pixels: pixels.permute(0, 3, 1, 2), shift=0, seed=0, device=CPU)
    epochs, rows = [], torch.arange(60)
    for epoch in range(3):
        images.start_epoch(epoch)
        epochs.append(images.batch(rows))
    assert torch.equal(epochs[0], epochs[1].flip(3))
    assert torch.equal(epochs[0], epochs[2])
    straight = (epochs[0] == torch.from_numpy(photos.images)).flatten(1).all(1)
    assert 15 < straight.sum() < 45


def test_shifted_images_are_windows_of_the_reflected_image(photos):
    images = AlternatingImages(photos, lambda pixels: pixels.permute(0, 3, 1, 2), shift=2, seed=0, device=CPU)
    images.start_epoch(0)
    padded = functional.pad(torch.from_numpy(photos.images).float(), (2, 2, 2, 2), mode="reflect")
    places = set()
    for row, image in enumerate(images.batch(torch.arange(60)).float()):
        windows = {(y, x): padded[row, :, y : y + 32, x : x + 32] for y in range(5) for x in range(5)}
        found = [place for place, window in windows.items() if image.equal(window) or image.equal(window.flip(2))]
        assert len(found) == 1
        places.add(found[0])
    assert len(places) > 12


def test_the_triangle_rises_to_its_peak_and_falls():
    assert [compute_triangle(time) for time in (0, 0.115, 0.23, 0.615, 1)] == pytest.approx([0.2, 0.6, 1, 0.535, 0.07])


@pytest.mark.parametrize("shape", [(8, 30), (30, 8)])
def test_orthogonalized_matrices_have_the_same_singular_vectors(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    values = torch.diag(u.T @ orthogonalize(matrix) @ v.T)
    assert ((values > 0.4) & (values < 1.4)).all()
    assert torch.allclose(u @ torch.diag(values) @ v, orthogonalize(matrix), atol=1e-4)


def test_muon_scales_filters_to_a_fixed_norm_and_steps_by_its_rate():
    parameter = nn.Parameter(torch.randn(16, 4, 3, 3))
    gradient = torch.randn(16, 4, 3, 3)
    parameter.grad, scaled = gradient.clone(), 4 * parameter.detach() / parameter.detach().norm()
    NormalizedMuon([parameter], torch.tensor(0.1), 0.6).step()
    step = orthogonalize(1.6 * gradient.flatten(1)).view_as(gradient)  # the first momentum is the gradient
    assert torch.allclose(parameter, scaled - 0.1 * step, atol=1e-5)


def test_lookahead_ends_with_the_slow_weights():
    network = nn.Linear(1, 1, bias=False)
    network.weight.data.fill_(0)
    lookahead, slow = Lookahead(network, 12), 0.0
    for done in range(1, 13):
        network.weight.data += 1
        lookahead.update(done)
        if done in (5, 10):
            slow += (1 - 0.95**5 * (done / 12) ** 3) * 5
            assert network.weight.item() == pytest.approx(slow)
    assert network.weight.item() == pytest.approx(slow)  # the last two steps are left out


@pytest.mark.parametrize(("recipe", "factor"), [(SGD, 20), (MUON, 1)])  # SGD's rates are per image: batches are small
def test_the_peer_learns(photos, recipe, factor):
    rates = ("filter_lr", "norm_bias_lr", "whitening_bias_lr", "head_lr")
    larger = {rate: factor * getattr(recipe, rate) for rate in rates}
    trainer = make_trainer(photos, recipe.model_copy(update=larger), steps=60)
    trainer.train()
    single, averaged = evaluate_peer(trainer.network, photos, trainer.normalize, CPU, torch.float32)
    assert min(single, averaged) > 80


@pytest.mark.parametrize("name", list(RECIPES))
def test_the_whitening_stays_and_its_bias_learns_for_a_while(photos, name):
    trainer, short = make_trainer(photos, RECIPES[name], steps=9), make_trainer(photos, RECIPES[name], steps=3)
    before = trainer.network.whitening.weight.clone()
    trainer.train()
    assert torch.equal(trainer.network.whitening.weight, before)
    assert trainer.network.whitening.bias.abs().sum() > 0
    assert not trainer.network.whitening.bias.requires_grad
    short.train()
    assert short.network.whitening.bias.requires_grad


def test_the_whitening_bias_starts_as_in_the_originals(photos):
    assert not make_trainer(photos, SGD).network.whitening.bias.any()
    bias = make_trainer(photos, MUON).network.whitening.bias.detach()
    assert bias.unique().numel() == 24
    assert 0.2 < bias.abs().max() <= 12**-0.5


def test_a_step_shrinks_weights_in_proportion_to_the_batch(photos):
    recipe = SGD.model_copy(update={"norm_bias_lr": 0.5, "decay": 0.001})
    (optimizer,) = make_trainer(photos, recipe)._optimizers
    decays = {group["name"]: group["peak"] * group["weight_decay"] for group in optimizer.param_groups}
    assert decays == pytest.approx(dict.fromkeys(("whitening bias", "norm biases", "head", "filters"), 0.02))


def test_equal_seeds_give_equal_weights(photos):
    trainers = [make_trainer(photos, SGD, seed=seed) for seed in (0, 0, 1)]
    for trainer in trainers:
        trainer.train()
    first, same, other = (trainer.network.head.weight for trainer in trainers)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_the_peer_can_skip_easy_images_from_its_second_epoch_on(photos, monkeypatch):
    seen, step = [], PeerTrainer._train_step

    def watched(self, rows):
        seen.extend(rows.tolist())
        return step(self, rows)

    monkeypatch.setattr(PeerTrainer, "_train_step", watched)
    make_trainer(photos, MUON.model_copy(update={"skip_easy": 0.3}), steps=9).train()
    assert [len(set(seen[first : first + 60])) for first in (0, 60, 120)] == [60, 42, 42]


def test_a_divergence_is_an_error(photos):
    with pytest.raises(
        InputError, match="the peer's weights are not finite: training diverged; lower its learning rates"
    ):
        make_trainer(photos, SGD.model_copy(update={"head_lr": 1e30}), steps=9).train()


def test_six_views_are_three_positions_and_their_mirror_images(rng):
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 6 * 6, 4))
    images = torch.randn(5, 3, 6, 6)
    single, averaged = infer(network, images)
    assert torch.equal(single, network(images))
    padded = functional.pad(images, (1, 1, 1, 1), mode="reflect")
    views = {(1, 1): 0.25, (0, 0): 0.125, (2, 2): 0.125}
    expected = sum(
        weight * (network(window) + network(window.flip(3)))
        for (y, x), weight in views.items()
        for window in [padded[:, :, y : y + 6, x : x + 6]]
    )
    assert torch.allclose(averaged, expected, atol=1e-5)


def to_pixels(images):
    return torch.from_numpy(images.images.transpose(0, 2, 3, 1).copy())
