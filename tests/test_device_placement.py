"""On a CUDA device every tensor of a training step is there, and the host waits for nothing: shown with fake tensors."""

import pytest
import torch
from fake_cuda import CUDA, fake_cuda
from test_training import RECIPES

from deepen.data import prefetch as mapped
from deepen.data.augmentation import Augmentation, AugmentedImages
from deepen.data.prefetch import MappedImages
from deepen.data.statistics import compute_statistics
from deepen.growth.initialization import draw_he_weights
from deepen.models.layers import plan
from deepen.models.vgg import build_network
from deepen.training.muon import Muon
from deepen.training.trainer import Trainer

CROP = Augmentation(flip=True, crop=0.125, color_shift=0.1)
VIEW = Augmentation(flip=True, crop=0.0, color_shift=0.1, view=8, scale_jitter=2.0)

pytestmark = pytest.mark.filterwarnings("ignore:User provided device_type of 'cuda', but CUDA is not available")


def make_network(recipe="onecycle", norm="batch"):
    layers = plan("conv3-8 maxpool conv3-16*2 maxpool fc-16", width=1, image=(3, 8, 8), classes=3, norm=norm)
    network = build_network(layers, draw_he_weights(layers, seed=0, model="I"), RECIPES[recipe].dropout)
    return network.to(memory_format=torch.channels_last)  # fake parameters can be moved, but not laid out anew


def make_trainer(network, images, recipe="onecycle", augmentation=CROP, dtype=torch.bfloat16, **changes):
    training = RECIPES[recipe].model_copy(update={"batch_size": 10, **changes})
    return Trainer(
        network, images, compute_statistics(images.images), augmentation, training,
        model="I", peak_lr=0.01, epochs=2, seed=0, device=CUDA, dtype=dtype, replayed=False,
    )  # fmt: skip


def train(trainer, waits):
    """Train two epochs; return what the host would wait for from the end of an epoch's first step to its last."""
    within = []

    def after_step():
        if trainer.step % trainer.steps_per_epoch != 1:
            within.extend(waits)
        waits.clear()

    for epoch in (1, 2):
        trainer.run_epoch(epoch, after_step)
    return within


@pytest.fixture(autouse=True)
def gather_in_this_thread(monkeypatch):
    """Fake tensors are known to the thread that makes them."""
    monkeypatch.setattr(mapped, "prefetch", lambda gather, batches: (gather(rows) for rows in batches))


@pytest.mark.parametrize("share", [1, 0], ids=["resident", "mapped"])
@pytest.mark.parametrize("augmentation", [CROP, VIEW], ids=["crop", "view"])
@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("recipe", ["onecycle", "published"])
def test_a_training_is_on_its_device_and_does_not_wait(colored, monkeypatch, recipe, norm, augmentation, share):
    monkeypatch.setattr(mapped, "RESIDENT_SHARE", share)
    network = make_network(recipe, norm)
    with fake_cuda(monkeypatch) as waits:
        trainer = make_trainer(network, colored, recipe, augmentation)
        assert isinstance(trainer._images, AugmentedImages if share else MappedImages)
        assert train(trainer, waits) == []
        assert {tensor.device for tensor in trainer.get_state().values()} == {CUDA}
        assert trainer.step == 12


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
