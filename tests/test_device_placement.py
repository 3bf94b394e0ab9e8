"""On a CUDA device every tensor of a training step is there, and the host waits for nothing: shown with fake tensors."""

from contextlib import suppress

import pytest
import torch
from fake_cuda import CUDA, fake_cuda
from test_training import RECIPES

from deepen.data import prefetch as mapped
from deepen.data.augmentation import Augmentation, AugmentedImages
from deepen.data.prefetch import MappedImages
from deepen.data.statistics import compute_statistics
from deepen.evaluation.accuracy import evaluate
from deepen.evaluation.views import Views
from deepen.growth.initialization import draw_he_weights
from deepen.models.layers import freeze, plan
from deepen.models.vgg import build_network
from deepen.runtime.buffers import Buffer, PinnedBuffer
from deepen.runtime.group import SINGLE_PROCESS, Group
from deepen.training.muon import Muon
from deepen.training.trainer import Trainer

CROP = Augmentation(flip=True, crop=0.125, color_shift=0.1)
VIEW = Augmentation(flip=True, crop=0.0, color_shift=0.1, view=8, scale_jitter=2.0)

pytestmark = pytest.mark.filterwarnings("ignore:User provided device_type of 'cuda', but CUDA is not available")


def make_network(recipe="onecycle", norm="batch", frozen=()):
    layers = plan("conv3-8 maxpool conv3-16*2 maxpool fc-16", width=1, image=(3, 8, 8), classes=3, norm=norm)
    layers = freeze(layers, frozen)
    network = build_network(layers, draw_he_weights(layers, seed=0, model="I"), RECIPES[recipe].dropout)
    return network.to(memory_format=torch.channels_last)  # fake parameters can be moved, but not laid out anew


class MockedGroup(Group):
    """The first of two processes, without the second."""

    def __init__(self):
        super().__init__(alone=True)
        self.size = 2

    local_size = 2

    def average_gradients(self, network, device):
        return network

    def all_reduce_sum(self, value):
        return value * 2

    def broadcast(self, tensors, owners):
        assert {tensor.device for tensor in tensors} == {CUDA}

    def all_gather_interleaved(self, mine):
        return mine


def make_trainer(
    network, images, recipe="onecycle", augmentation=CROP, dtype=torch.bfloat16, group=SINGLE_PROCESS, **changes
):
    skipping = {"skip_easy": 0.3 if recipe == "onecycle" else 0.0}
    training = RECIPES[recipe].model_copy(update={"batch_size": 10, **skipping, **changes})
    return Trainer(
        network, images, compute_statistics(images.images), augmentation, training,
        model="I", peak_lr=0.01, epochs=2, seed=0, device=CUDA, dtype=dtype, replayed=False, group=group,
    )  # fmt: skip


def train(trainer, waits):
    """Train two epochs; return what the host would wait for from the end of an epoch's first step to its last."""
    return [wait for epoch in (1, 2) for wait in train_epoch(trainer, waits, epoch)]


def train_epoch(trainer, waits, epoch, end=None):
    """Train an epoch, or what is left of it until the step `end`; return what the host would wait for after one step."""
    within, steps = [], []

    def after_step():
        steps.append(None)
        if len(steps) > 1:
            within.extend(waits)
        waits.clear()
        if trainer.step == end:
            raise Stopped

    with suppress(Stopped):
        trainer.run_epoch(epoch, after_step)
    return within


class Stopped(Exception):
    pass


@pytest.fixture(autouse=True)
def gather_in_this_thread(monkeypatch):
    """Fake tensors are known to the thread that makes them."""
    monkeypatch.setattr(mapped, "prefetch", lambda gather, batches: (gather(rows) for rows in batches))


@pytest.mark.parametrize("share", [1, 0], ids=["resident", "mapped"])
@pytest.mark.parametrize("augmentation", [CROP, VIEW], ids=["crop", "view"])
@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("recipe", ["onecycle", "published"])
@pytest.mark.half
def test_a_training_is_on_its_device_and_does_not_wait(colored, monkeypatch, recipe, norm, augmentation, share):
    monkeypatch.setattr(mapped, "RESIDENT_SHARE", share)
    network = make_network(recipe, norm)
    with fake_cuda(monkeypatch) as waits:
        trainer = make_trainer(network, colored, recipe, augmentation)
        assert isinstance(trainer._images, AugmentedImages if share else MappedImages)
        assert train(trainer, waits) == []
        assert {tensor.device for tensor in trainer.get_state().values()} == {CUDA}
        assert trainer.step == 12


def resume(waits, make):
    """Train to the midst of the second epoch, and go on from there; return the trainer and the waits within epochs."""
    first = make()
    within = train_epoch(first, waits, 1) + train_epoch(first, waits, 2, end=8)
    saved = {key: tensor.cpu() for key, tensor in first.get_state().items()}
    trainer = make()
    trainer.restore(8, saved)
    waits.clear()
    return trainer, within + train_epoch(trainer, waits, 2)


@pytest.mark.parametrize("share", [1, 0], ids=["resident", "mapped"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("recipe", ["onecycle", "published"])
@pytest.mark.half
def test_a_resumed_training_is_on_its_device_too(colored, monkeypatch, recipe, dtype, share):
    monkeypatch.setattr(mapped, "RESIDENT_SHARE", share)
    networks = [make_network(recipe), make_network(recipe)]
    with fake_cuda(monkeypatch) as waits:
        trainer, within = resume(waits, lambda: make_trainer(networks.pop(), colored, recipe, dtype=dtype))
        assert within == []
        assert {tensor.device for tensor in trainer.get_state().values()} == {CUDA}
        assert {loss.device for loss in (trainer._losses, trainer._lr)} == {CUDA}
        assert trainer.step == 12


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("recipe", ["onecycle", "published"])
def test_a_training_with_frozen_layers_is_on_its_device(colored, monkeypatch, recipe, dtype):
    network = make_network(recipe, frozen=["conv1_1", "norm1_1"])
    with fake_cuda(monkeypatch) as waits:
        trainer = make_trainer(network, colored, recipe, dtype=dtype, class_weights="balanced")
        assert train(trainer, waits) == []
        state = trainer.get_state()
    assert {tensor.device for tensor in state.values()} == {CUDA}
    assert "momentum.conv1_1.weight" not in state
    assert "momentum.conv2_1.weight" in state


@pytest.mark.parametrize("share", [1, 0], ids=["resident", "mapped"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("recipe", ["onecycle", "published"])
@pytest.mark.half
def test_one_of_several_processes_is_on_its_device_and_does_not_wait(colored, monkeypatch, recipe, norm, dtype, share):
    monkeypatch.setattr(mapped, "RESIDENT_SHARE", share)
    network = make_network(recipe, norm)
    with fake_cuda(monkeypatch) as waits:
        trainer = make_trainer(network, colored, recipe, dtype=dtype, group=MockedGroup())
        assert train(trainer, waits) == []
        assert {tensor.device for tensor in trainer.get_state().values()} == {CUDA}


LABELS, RESULTS = "to from cpu to cuda", "cpu from cuda to cpu"


@pytest.mark.parametrize("group", [SINGLE_PROCESS, MockedGroup()], ids=["alone", "group"])
@pytest.mark.parametrize("views", [Views(), Views("shifts"), Views("dense")], ids=["centre", "shifts", "dense"])
def test_an_evaluation_waits_for_its_labels_and_its_results_alone(colored, monkeypatch, views, group):
    network = make_network()
    with fake_cuda(monkeypatch) as waits:
        trainer = make_trainer(network, colored)
        trainer.run_epoch(1, lambda: None)
        waits.clear()
        evaluate(
            trainer.network, colored, trainer.mean, flip_averaging=True, batch_size=7, dtype=torch.bfloat16,
            views=views, group=group,
        )  # fmt: skip
    assert waits == [LABELS, RESULTS]


def test_training_leaves_the_random_numbers_of_other_devices_alone(colored, monkeypatch):
    """To seed those of all devices is slow."""
    network, before = make_network("published"), torch.initial_seed()
    with fake_cuda(monkeypatch) as waits:
        train(make_trainer(network, colored, "published"), waits)
        seeds = torch.cuda.default_generators[0].seeds
    assert torch.initial_seed() == before
    assert len(set(seeds)) == 12  # dropout of each step


def test_only_a_copy_from_pinned_memory_may_go_on_while_the_host_does(monkeypatch):
    """A copy from other memory may read it after it was freed (PyTorch on MPS)."""
    with fake_cuda(monkeypatch) as waits:
        images = torch.zeros(2, 3, dtype=torch.uint8)
        assert Buffer().copy(images, CUDA).device == CUDA
        assert waits == ["to from cpu to cuda"]
        waits.clear()
        assert PinnedBuffer(6, CUDA).copy(images, CUDA).device == CUDA
        assert waits == []


@pytest.mark.parametrize(("dtype", "form"), [(torch.float32, "float32"), (torch.bfloat16, "few_kernels")])
def test_float32_also_orthogonalizes_in_float32(colored, monkeypatch, dtype, form):
    steps, network = [], make_network()
    for name in ("float32", "few_kernels"):
        real = getattr(Muon, f"_step_in_{name}")
        monkeypatch.setattr(
            Muon, f"_step_in_{name}", lambda *args, name=name, real=real: steps.append(name) or real(*args)
        )
    with fake_cuda(monkeypatch) as waits:
        assert train(make_trainer(network, colored, dtype=dtype), waits) == []
    assert steps == [form] * 12


def move_labels(trainer):
    trainer._labels = trainer._labels.cpu()


def move_mean(trainer):
    trainer._images._mean = trainer._images._mean.cpu()


def move_momentum(trainer):
    for parameter in trainer.network.parameters():
        trainer._optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter, device="cpu")


def move_weight(trainer):
    trainer.network.fc1.bias = torch.nn.Parameter(torch.zeros(16))


def move_generator(trainer):
    trainer._generator = torch.Generator("cpu")


def move_class_weights(trainer):
    trainer.loss._weights = torch.ones(3)


@pytest.mark.parametrize(
    "move", [move_labels, move_mean, move_momentum, move_weight, move_generator, move_class_weights]
)
@pytest.mark.parametrize("recipe", ["onecycle", "published"])
def test_a_tensor_on_another_device_is_noticed(colored, monkeypatch, recipe, move):
    network = make_network(recipe)
    with fake_cuda(monkeypatch) as waits:
        trainer = make_trainer(network, colored, recipe, class_weights="balanced")
        move(trainer)
        with pytest.raises(RuntimeError, match=r"device|generator"):
            train(trainer, waits)


def read_item(self):
    self._lr.item()


def read_truth(self):
    if self._lr > 0:
        pass


def read_on_the_host(self):
    self._lr.cpu()


def copy_from_ordinary_memory(self):
    torch.zeros(3).to(CUDA)


def copy_into_the_device(self):
    self._lr.copy_(torch.zeros(()))


@pytest.mark.parametrize(
    ("wait", "found"),
    [
        (read_item, "item"),
        (read_truth, "__bool__"),
        (read_on_the_host, "cpu from cuda to cpu"),
        (copy_from_ordinary_memory, "to from cpu to cuda"),
        (copy_into_the_device, "copy_ from cpu to cuda"),
    ],
)
def test_a_wait_is_noticed(colored, monkeypatch, wait, found):
    step = Trainer._train_step

    def waiting_step(self, rows):
        wait(self)
        return step(self, rows)

    monkeypatch.setattr(Trainer, "_train_step", waiting_step)
    network = make_network()
    with fake_cuda(monkeypatch) as waits:
        assert train(make_trainer(network, colored), waits) == [found] * 10  # but the first step of each epoch


def is_channels_last(tensor):
    return tensor.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("augmentation", [CROP, VIEW], ids=["crop", "view"])
def test_images_and_weights_have_the_layout_that_is_fast_on_cuda(colored, monkeypatch, augmentation):
    network, layouts = make_network(), []
    network.conv1_1.register_forward_pre_hook(lambda layer, inputs: layouts.append(is_channels_last(inputs[0])))
    with fake_cuda(monkeypatch) as waits:
        train(make_trainer(network, colored, augmentation=augmentation), waits)
        weights = [layer.weight for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)]
        assert [is_channels_last(weight) for weight in weights] == [True] * 3
    assert layouts == [True] * 12
