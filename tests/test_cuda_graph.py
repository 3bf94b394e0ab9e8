"""A step that is replayed from a CUDA graph does what it does eagerly: emulated on the CPU, and on a GPU where there is one."""

import gc
import warnings
import weakref
from contextlib import contextmanager

import pytest
import torch
from cuda_forms import use_cuda_forms
from dvc_project import ROOT
from emulated_graph import emulate
from tensors import draw_he_weights

from deepen.config.settings import load_settings
from deepen.data import prefetch as mapped
from deepen.data.augmentation import Augmentation
from deepen.data.statistics import compute_statistics
from deepen.models.layers import freeze, plan
from deepen.models.vgg import build_network
from deepen.runtime.device import choose_device
from deepen.training.cuda_graph import ReplayedStep
from deepen.training.trainer import Trainer

needs_cuda = pytest.mark.cuda
no_warnings = pytest.mark.filterwarnings("ignore:max_pool2d_with_indices_backward_cuda")  # no two windows overlap
each_recipe = pytest.mark.parametrize("recipe", ["onecycle", "published"])


@pytest.fixture
def graphs(monkeypatch):
    return emulate(monkeypatch)


WHOLE, VIEWS = Augmentation(True, 0.125, 0.1), Augmentation(True, 0.125, 0.1, view=8, scale_jitter=2.0)
EPOCHS = 3


def make_trainer(images, recipe, augmentation=WHOLE, norm="none", device="cuda", **options):
    """A small trainer in bfloat16; the published recipe has a frozen layer, and dropout."""
    layers = plan("conv3-16 maxpool conv3-16 maxpool fc-16", width=1, image=(3, 8, 8), classes=3, norm=norm)
    onecycle = recipe == "onecycle"
    changes = {"batch_size": 10, "class_weights": "balanced" if onecycle else "none"}
    training = load_settings(ROOT / "params.yaml").recipes[recipe].training.model_copy(update=changes)
    start = draw_he_weights(layers, seed=0, model="I")
    return Trainer(
        build_network(freeze(layers, [] if onecycle else ["conv1_1"]), start, training.dropout),
        images, compute_statistics(images.images), augmentation, training,
        model="I", peak_lr=0.01, epochs=EPOCHS, seed=0, device=choose_device(device, 1), dtype=torch.bfloat16, **options,
    )  # fmt: skip


def train(trainer, epochs=range(1, EPOCHS + 1)):
    """The losses of the epochs, and the tensors after them."""
    losses = [trainer.run_epoch(epoch, lambda: None) for epoch in epochs]
    return losses, [tensor.cpu() for tensor in trainer.network.state_dict().values()]


def assert_equal(one, other):
    assert one[0] == other[0]
    assert all(torch.equal(first, second) for first, second in zip(one[1], other[1], strict=True))


def make_emulated(images, recipe, *args, replayed=True, **options):
    """A trainer on the CPU with the kernels and the recording of CUDA."""
    trainer = make_trainer(images, recipe, *args, device="cpu", **options)
    if recipe == "published":
        for group in trainer._optimizer.param_groups:
            group["fused"], group["foreach"] = True, False
    trainer._replayed = ReplayedStep(trainer._generator) if replayed else None
    return trainer


class Stopped(Exception):
    pass


def resume(images, *args, **options):
    """A training that is resumed in the midst of its second epoch, once it is replayed, and of the third."""
    state, step = {}, 0
    for last in (8, 14):
        trainer = make_emulated(images, *args, **options)
        if state:
            trainer.restore(step, state)

        def stop(trainer=trainer, last=last):
            if trainer.step == last:
                raise Stopped

        with pytest.raises(Stopped):
            list(map(trainer.run_epoch, range(step // 6 + 1, EPOCHS + 1), [stop] * EPOCHS))
        state, step = {key: tensor.clone() for key, tensor in trainer.get_state().items()}, trainer.step
    trainer = make_emulated(images, *args, **options)
    trainer.restore(step, state)
    return train(trainer, epochs=[3])


@each_recipe
@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("augmentation", [WHOLE, VIEWS], ids=["crop", "view"])
@pytest.mark.parametrize("share", [1, 0], ids=["resident", "mapped"])
def test_a_replayed_training_is_the_eager_one_bit_for_bit(
    graphs, colored, monkeypatch, recipe, norm, augmentation, share
):
    monkeypatch.setattr(mapped, "RESIDENT_SHARE", share)
    eager = train(make_emulated(colored, recipe, augmentation, norm, replayed=False))
    assert not graphs
    assert_equal(train(make_emulated(colored, recipe, augmentation, norm)), eager)
    assert graphs[0][0].replays == 3 * 6 - 3
    losses, weights = resume(colored, recipe, augmentation, norm)
    assert_equal((losses, weights), (eager[0][2:], eager[1]))
    assert len(graphs) == 4  # each part of the training records its own


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("augmentation", [WHOLE, VIEWS], ids=["crop", "view"])
@pytest.mark.parametrize("share", [1, 0], ids=["resident", "mapped"])
def test_a_replayed_training_in_the_forms_of_cuda_is_the_eager_one_too(
    graphs, colored, monkeypatch, norm, augmentation, share
):
    plain = train(make_emulated(colored, "onecycle", augmentation, norm, replayed=False))
    use_cuda_forms(monkeypatch)
    monkeypatch.setattr(mapped, "RESIDENT_SHARE", share)
    eager = train(make_emulated(colored, "onecycle", augmentation, norm, replayed=False))
    assert not all(map(torch.equal, eager[1], plain[1]))  # they round otherwise
    assert_equal(train(make_emulated(colored, "onecycle", augmentation, norm)), eager)
    assert any(function is torch.ops.aten._fused_sgd_.tensor_lr for function, *_ in graphs[0][0].operations)
    assert graphs[0][0].replays == 3 * 6 - 3
    assert_equal(resume(colored, "onecycle", augmentation, norm), (eager[0][2:], eager[1]))


def bake_learning_rate(trainer):
    def step(real=trainer._optimizer.step):
        for group in trainer._optimizer.param_groups:
            group["lr"] = trainer.schedule.compute_lr(trainer.step)
        real()

    trainer._optimizer.step = step


def replace_images(trainer):
    held = trainer._images._held
    held.replace = lambda padded: setattr(held, "_padded", padded.clone())


def read_loss(trainer):
    def step(rows, real=trainer._train_step):
        loss = real(rows)
        return loss if loss.item() > -1 else -loss

    trainer._train_step = step


def seed_within(trainer):
    def batch(rows, generator, shard, real=trainer._images.batch):
        generator.manual_seed(trainer.step)
        return real(rows, generator, shard)

    trainer._images.batch = batch


@pytest.mark.parametrize("fault", [bake_learning_rate, replace_images, read_loss, seed_within])
def test_a_step_that_a_graph_can_t_repeat_is_noticed(graphs, colored, monkeypatch, fault):
    monkeypatch.setattr(mapped, "RESIDENT_SHARE", 0)
    found = []
    for replayed in (False, True):
        trainer = make_emulated(colored, "onecycle", replayed=replayed)
        fault(trainer)
        if replayed and fault is read_loss:
            with pytest.raises(RuntimeError, match=r"_local_scalar_dense.* is not permitted when stream is capturing"):
                train(trainer)
            return
        found.append(train(trainer)[1])
    assert not all(map(torch.equal, *found))


def test_every_call_does_its_step_once_on_its_own_rows(graphs):
    done, generator = torch.zeros(6), torch.Generator()

    def step(rows):
        done.index_add_(0, rows, torch.ones(len(rows)))
        return rows.sum()

    replayed = ReplayedStep(generator)
    results = [replayed(step, torch.tensor([call, call + 1])).item() for call in range(5)]
    assert results == [2 * call + 1 for call in range(5)]
    assert done.tolist() == [1, 2, 2, 2, 2, 1]
    ((graph, stream),) = graphs
    assert graph.replays == 2
    assert stream.device == generator.device


@pytest.mark.parametrize(
    ("version", "registered"), [("2.11.0+cu130", 1), ("2.13.1", 1), ("2.14.0", 0), ("2.15.0+cu132", 0)]
)
def test_the_generator_is_registered_where_pytorch_does_not_do_it(graphs, monkeypatch, version, registered):
    monkeypatch.setattr(torch, "__version__", torch.torch_version.TorchVersion(version))
    generator = torch.Generator()
    replayed = ReplayedStep(generator)
    for call in range(5):
        replayed(torch.sum, torch.tensor([call]))
    assert graphs[0][0].generators == [generator] * registered


def test_all_steps_run_on_one_stream(graphs, monkeypatch):
    """Each stream reserves memory of its own."""
    used = []

    @contextmanager
    def stream(chosen):
        used.append(chosen)
        yield

    monkeypatch.setattr(torch.cuda, "stream", stream)
    replayed = ReplayedStep(torch.Generator())
    for call in range(5):
        replayed(torch.sum, torch.tensor([call]))
    assert len(used) == 3
    assert {*used, graphs[0][1]} == {used[0]}


@pytest.mark.parametrize("replayed", [True, False])
def test_a_trainer_leaves_its_memory_as_soon_as_nobody_has_it(graphs, colored, replayed):
    trainer = make_emulated(colored, "onecycle", replayed=replayed)
    trainer.run_epoch(1, lambda: None)
    parts = [weakref.ref(part) for part in (trainer.network, trainer._optimizer, trainer._images, trainer)]
    graphs.clear()
    gc.disable()
    try:
        del trainer
        assert [part() for part in parts] == [None] * 4
    finally:
        gc.enable()


@pytest.fixture
def modes(monkeypatch):
    """The modes that are set; as in PyTorch, the first time warns."""
    modes = []

    def set_mode(mode):
        if not modes:
            warnings.warn("Synchronization debug mode is a prototype feature and does not yet detect all", stacklevel=2)
        modes.append(mode)

    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", set_mode)
    yield modes
    assert modes == ["error", "default"]  # also where the test leaves it on


@pytest.mark.usefixtures("modes")
def test_waits_are_permitted_again_after_a_test(request, modes):
    request.getfixturevalue("wait_mode")("error")
    assert modes == ["error"]


@needs_cuda
@no_warnings
@pytest.mark.parametrize("augmentation", [WHOLE, VIEWS])
@each_recipe
def test_a_graph_s_training_is_the_same_on_cuda(colored, recipe, augmentation):
    found = [train(make_trainer(colored, recipe, augmentation, replayed=replayed)) for replayed in (True, True, False)]
    assert_equal(found[0], found[1])
    assert_equal(found[0], found[2])


@needs_cuda
@no_warnings
@pytest.mark.parametrize("replayed", [True, False])
def test_images_that_stay_in_their_map_give_the_same_bits_on_cuda(colored, monkeypatch, replayed):
    found = []
    for share in (1, 0):
        monkeypatch.setattr(mapped, "RESIDENT_SHARE", share)
        found.append(train(make_trainer(colored, "onecycle", replayed=replayed)))
    assert_equal(*found)


@needs_cuda
@no_warnings
@each_recipe
@pytest.mark.parametrize("replayed", [True, False])
@pytest.mark.parametrize(("augmentation", "share"), [(WHOLE, 1), (WHOLE, 0), (VIEWS, 1)])
def test_nothing_waits_for_the_device_within_an_epoch_on_cuda(
    colored, monkeypatch, wait_mode, recipe, replayed, augmentation, share
):
    monkeypatch.setattr(mapped, "RESIDENT_SHARE", share)
    trainer = make_trainer(colored, recipe, augmentation, replayed=replayed)
    trainer.run_epoch(1, lambda: None)
    steps = []

    def after_step():
        steps.append(None)
        wait_mode("error" if len(steps) < trainer.steps_per_epoch else "default")

    trainer.run_epoch(2, after_step)
    assert len(steps) == 6


@needs_cuda
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
@no_warnings
def test_a_second_gpu_trains_the_same_on_cuda(colored):
    assert_equal(*(train(make_trainer(colored, "onecycle", device=device)) for device in ("cuda:0", "cuda:1")))
