"""A replayed training equals an eager one bit for bit, on a CUDA graph that is emulated on the CPU."""

from itertools import product

import pytest
import torch
from emulated_graph import CaptureError, emulate_cuda_graphs
from tensors import draw_he_weights
from test_training import RECIPES

from deepen.data import prefetch as mapped
from deepen.data.augmentation import Augmentation, AugmentedImages
from deepen.data.prefetch import MappedImages
from deepen.data.statistics import compute_statistics
from deepen.models.layers import plan
from deepen.models.vgg import build_network
from deepen.training.cuda_graph import ReplayedStep
from deepen.training.muon import Muon
from deepen.training.trainer import Trainer

CROP = Augmentation(flip=True, crop=0.125, color_shift=0.1)
VIEW = Augmentation(flip=True, crop=0.0, color_shift=0.1, view=8, scale_jitter=2.0)
EPOCHS, BATCH = 2.5, 10  # of sixty images
EAGER_STEPS = 3


@pytest.fixture(autouse=True)
def graphs(monkeypatch):
    return emulate_cuda_graphs(monkeypatch)


def make_trainer(images, recipe="onecycle", norm="batch", augmentation=CROP, *, replayed=True, dtype=torch.float32):
    training = RECIPES[recipe].model_copy(update={"batch_size": BATCH, "dropout": 0.2})
    layers = plan("conv3-8 maxpool conv3-16*2 maxpool fc-16", width=1, image=(3, 8, 8), classes=3, norm=norm)
    trainer = Trainer(
        build_network(layers, draw_he_weights(layers, seed=0, model="I"), training.dropout),
        images, compute_statistics(images.images), augmentation, training,
        model="I", peak_lr=0.01, epochs=EPOCHS, seed=0, device=torch.device("cpu"), dtype=dtype,
    )  # fmt: skip
    if recipe == "published":  # as on CUDA, where the learning rate is not read
        for group in trainer._optimizer.param_groups:
            group["fused"], group["foreach"] = True, False
    if replayed:
        trainer._replayed = ReplayedStep(trainer._generator)
    return trainer


class Stopped(Exception):
    pass


def finish(trainer, stop=None):
    """Train the epochs that are left, or until a step; return the losses of the epochs."""

    def after_step():
        if trainer.step == stop:
            raise Stopped

    return [
        trainer.run_epoch(epoch, after_step)
        for epoch in range(1 + trainer.step // trainer.steps_per_epoch, 1 + trainer.epochs)
    ]


def train(images, *configuration, stop=None, **options):
    """Return the final state and losses of a training; one that stops goes on with another trainer."""
    trainer = make_trainer(images, *configuration, **options)
    if stop is not None:
        with pytest.raises(Stopped):
            finish(trainer, stop)
        state = {key: tensor.clone() for key, tensor in trainer.get_state().items()}
        trainer = make_trainer(images, *configuration, **options)
        trainer.restore(stop, state)
    losses = finish(trainer)
    return trainer.get_state() | {"mean losses": torch.tensor(losses[-1])}


def differ(one, other):
    """The names of the tensors that differ in a bit."""
    assert one.keys() == other.keys()
    return {key for key in one if not torch.equal(one[key], other[key])}


@pytest.mark.parametrize("share", [1, 0], ids=["resident", "mapped"])
@pytest.mark.parametrize("augmentation", [CROP, VIEW], ids=["crop", "view"])
@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("recipe", ["onecycle", "published"])
def test_replayed_is_eager_bit_for_bit(colored, monkeypatch, graphs, recipe, norm, augmentation, share):
    monkeypatch.setattr(mapped, "RESIDENT_SHARE", share)
    configuration = (recipe, norm, augmentation)
    assert isinstance(make_trainer(colored)._images, AugmentedImages if share else MappedImages)
    eager = train(colored, *configuration, replayed=False)
    assert graphs == []
    assert differ(eager, train(colored, *configuration)) == set()
    assert [graph.replays for graph in graphs] == [15 - EAGER_STEPS]
    for stop in (2, 8):  # before the graph, and when it has replayed
        assert differ(eager, train(colored, *configuration, stop=stop)) == set()


def test_replayed_is_eager_in_bfloat16_too(colored):
    for recipe, norm in product(("onecycle", "published"), ("none", "batch")):
        replayed, eager = (
            train(colored, recipe, norm, replayed=replayed, dtype=torch.bfloat16) for replayed in (True, False)
        )
        assert differ(replayed, eager) == set()


def test_a_capture_changes_nothing(colored, graphs, monkeypatch):
    trainer = make_trainer(colored)
    before = []

    def capture(*arguments):
        before.append({key: tensor.clone() for key, tensor in trainer.get_state().items()})
        graph = original(*arguments)
        assert differ(before[0], trainer.get_state()) == set()
        assert len(graph.operations) > 100
        return graph

    original = trainer._replayed._capture
    monkeypatch.setattr(trainer._replayed, "_capture", capture)
    finish(trainer)
    assert len(before) == len(graphs) == 1


def find_difference(images):
    """What differs between a replayed and an eager training; nothing may differ between eager ones."""
    replayed, eager, again = (train(images, replayed=replayed) for replayed in (True, False, False))
    assert differ(eager, again) == set()
    return differ(replayed, eager)


def plant(monkeypatch, change):
    """Plant a fault in Muon's step."""
    step = Muon.step

    def faulty(self):
        step(self)
        change(self)

    monkeypatch.setattr(Muon, "step", faulty)


def find_weight(optimizer):
    return optimizer.param_groups[0]["params"][0]


def count_calls(optimizer):
    optimizer.calls = getattr(optimizer, "calls", 0) + 1
    return optimizer.calls


def read_item(optimizer):
    find_weight(optimizer).sum().item()


def read_truth(optimizer):
    if find_weight(optimizer).sum() > 0:
        pass


def read_list(optimizer):
    find_weight(optimizer).detach().tolist()


def read_array(optimizer):
    find_weight(optimizer).detach().numpy()


def count_by_shape(optimizer):
    weight = find_weight(optimizer).detach()
    weight[weight > 0].sum()


def copy_from_host(optimizer):
    find_weight(optimizer).data.add_(torch.tensor([1.0]))


@pytest.mark.parametrize("change", [read_item, read_truth, read_list, read_array, count_by_shape, copy_from_host])
def test_a_wait_for_the_device_is_noticed(colored, monkeypatch, change):
    plant(monkeypatch, change)
    with pytest.raises(CaptureError, match="in a capture"):
        train(colored)


def test_a_number_that_is_baked_in_is_noticed(colored, monkeypatch):
    plant(monkeypatch, lambda optimizer: find_weight(optimizer).data.add_(1e-4 * count_calls(optimizer)))
    assert "weights.conv1_1.weight" in find_difference(colored)


def test_a_learning_rate_that_is_a_number_is_noticed(colored, monkeypatch):
    make = Trainer._train_step

    def with_number(self, rows):
        self._optimizer.param_groups[0]["lr"] = 0.01 * (1 + self.step)
        return make(self, rows)

    monkeypatch.setattr(Trainer, "_train_step", with_number)
    assert "weights.conv1_1.weight" in find_difference(colored)


def test_a_tensor_that_is_replaced_is_noticed(colored, monkeypatch):
    def replace(optimizer):
        state = optimizer.state[find_weight(optimizer)]
        state["momentum_buffer"] = state["momentum_buffer"] * 1.5

    plant(monkeypatch, replace)
    assert "momentum.conv1_1.weight" in find_difference(colored)


def test_images_that_move_are_noticed(colored, monkeypatch):
    def replace(self, padded):
        self._padded = padded.clone()

    monkeypatch.setattr(mapped, "RESIDENT_SHARE", 0)
    monkeypatch.setattr(AugmentedImages, "replace", replace)
    assert "weights.conv1_1.weight" in find_difference(colored)


def test_a_generator_that_only_python_seeds_is_noticed(colored, monkeypatch):
    def add_noise(optimizer):
        weight, generator = find_weight(optimizer), torch.Generator()
        noise = torch.randn(weight.shape, generator=generator.manual_seed(count_calls(optimizer)))
        weight.data.add_(noise, alpha=1e-3)

    plant(monkeypatch, add_noise)
    assert "weights.conv1_1.weight" in find_difference(colored)
