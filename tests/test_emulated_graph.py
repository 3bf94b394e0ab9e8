"""The emulated CUDA graph notices what a real one can't repeat, or refuses."""

import pytest
import torch
from emulated_graph import CaptureError, emulate
from test_cuda_graph import make_emulated

from deepen.data import prefetch as mapped
from deepen.data.augmentation import AugmentedImages
from deepen.training.muon import Muon
from deepen.training.trainer import Trainer


@pytest.fixture(autouse=True)
def graphs(monkeypatch):
    with emulate(monkeypatch) as graphs:
        yield graphs


def train(images, replayed=True, epochs=2):
    """Return the final state of a training with Muon."""
    trainer = make_emulated(images, "onecycle", replayed=replayed)
    for epoch in range(1, epochs + 1):
        trainer.run_epoch(epoch, lambda: None)
    return copy(trainer)


def copy(trainer):
    return {key: tensor.clone() for key, tensor in trainer.get_state().items()}


def differ(one, other):
    """The names of the tensors that differ in a bit."""
    assert one.keys() == other.keys()
    return {key for key in one if not torch.equal(one[key], other[key])}


def test_without_a_fault_nothing_differs(colored):
    assert find_difference(colored) == set()


def test_a_capture_changes_nothing(colored, graphs, monkeypatch):
    trainer, before = make_emulated(colored, "onecycle"), []
    original = trainer._replayed._capture

    def capture(*arguments):
        before.append(copy(trainer))
        graph = original(*arguments)
        assert differ(before[0], copy(trainer)) == set()
        assert len(graph.operations) > 100
        return graph

    monkeypatch.setattr(trainer._replayed, "_capture", capture)
    trainer.run_epoch(1, lambda: None)
    assert len(before) == len(graphs) == 1


def find_difference(images):
    """What differs between a replayed and an eager training; nothing may differ between eager ones."""
    replayed, eager, again = (train(images, replayed) for replayed in (True, False, False))
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
    with pytest.raises(CaptureError, match="is not permitted when stream is capturing"):
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
