"""A step that is replayed from a CUDA graph does what it does eagerly: emulated on the CPU, and on a GPU where there is one."""

import gc
import threading
import warnings
import weakref
from contextlib import contextmanager

import emulated_streams
import numpy as np
import pytest
import torch
from conftest import make_colored
from cuda_forms import use_cuda_forms
from dvc_project import ROOT
from emulated_graph import CaptureError, emulate
from emulated_streams import RaceError
from tensors import as_tensors, assert_same_tensors
from torch.utils._python_dispatch import TorchDispatchMode

from deepen.config.settings import load_settings
from deepen.data import prefetch as mapped
from deepen.data.augmentation import Augmentation
from deepen.data.statistics import compute_statistics
from deepen.growth.initialization import draw_fresh_weights
from deepen.models.layers import freeze, plan
from deepen.models.vgg import build_network
from deepen.runtime.device import choose_device
from deepen.training.callback import Callback
from deepen.training.cuda_graph import ReplayedStep
from deepen.training.loop import train as run
from deepen.training.trainer import Trainer

needs_cuda = pytest.mark.cuda
no_warnings = pytest.mark.filterwarnings("ignore:max_pool2d_with_indices_backward_cuda")  # no two windows overlap
each_recipe = pytest.mark.parametrize("recipe", ["onecycle", "published"])


@pytest.fixture
def graphs(monkeypatch):
    with emulate(monkeypatch) as graphs:
        yield graphs


@pytest.fixture
def watched(monkeypatch):
    """The same, and streams that do not wait for each other are found."""
    with emulate(monkeypatch, watched=True) as graphs:
        yield graphs


WHOLE, VIEWS = Augmentation(True, 0.125, 0.1), Augmentation(True, 0.125, 0.1, view=8, scale_jitter=2.0)
EPOCHS = 3


def make_trainer(
    images, recipe, augmentation=WHOLE, norm="none", device="cuda", *,
    frozen=None, weighted=None, first="conv3-16", dtype=torch.bfloat16, **options,
):  # fmt: skip
    """A small trainer; Muon (onecycle) has class weights and skips easy images, SGD (published) has a frozen layer and
    dropout, unless they are given."""
    onecycle, statistics = recipe == "onecycle", compute_statistics(images.images)
    layers = plan(f"{first} maxpool conv3-16 maxpool fc-16", width=1, image=(3, 8, 8), classes=3, norm=norm)
    frozen = ([] if onecycle else ["conv1_1"]) if frozen is None else frozen
    changes = {
        "batch_size": 10,
        "class_weights": "balanced" if (onecycle if weighted is None else weighted) else "none",
        "skip_easy": 0.3 if onecycle else 0.0,
    }
    training = load_settings(ROOT / "params.yaml").recipes[recipe].training.model_copy(update=changes)
    start = as_tensors(draw_fresh_weights(layers, statistics.patch_covariance, seed=0, model="I"))
    return Trainer(
        build_network(freeze(layers, frozen), start, training.dropout),
        images, statistics, augmentation, training,
        model="I", peak_lr=0.01, epochs=EPOCHS, seed=0, device=choose_device(device, 1), dtype=dtype, **options,
    )  # fmt: skip


def train(trainer, epochs=range(1, EPOCHS + 1)):
    """The losses of the epochs, and the tensors after them."""
    losses = [trainer.run_epoch(epoch, lambda: None) for epoch in epochs]
    return losses, {key: tensor.cpu() for key, tensor in trainer.network.state_dict().items()}


def assert_equal(one, other):
    assert_same_tensors(one[1], other[1])
    assert one[0] == other[0]


def test_trainings_that_differ_name_their_tensors_and_differences():
    one, other = {"a": torch.zeros(2), "b": torch.ones(2)}, {"a": torch.zeros(2), "b": torch.tensor([1, 1.25])}
    with pytest.raises(AssertionError, match=r"\{'b': 'differs by up to 0\.25'\}"):
        assert_equal(([], one), ([], other))
    with pytest.raises(AssertionError):
        assert_equal(([1.0], one), ([2.0], one))
    assert_equal(([1.0], one), ([1.0], one))


def is_equal(one, other):
    return all(torch.equal(one[key], other[key]) for key in one)


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
@pytest.mark.half
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


MORE = {
    "float32": ("onecycle", {"dtype": torch.float32}),
    "float32, SGD": ("published", {"dtype": torch.float32}),
    "frozen, Muon": ("onecycle", {"frozen": ["conv1_1", "fc1"]}),
    "class weights, SGD": ("published", {"weighted": True, "frozen": []}),
    "whitened": ("onecycle", {"first": "whiten2-24 conv2-16"}),
    "whitened, SGD": ("published", {"first": "whiten2-24 conv2-16", "frozen": []}),
}


@pytest.mark.parametrize("cuda_forms", [False, True], ids=["cpu", "cuda"])
@pytest.mark.parametrize("case", MORE)
def test_other_trainings_are_the_eager_ones_too(graphs, rng, monkeypatch, case, cuda_forms):
    images = make_colored(rng, count=63).select(np.arange(60))  # of unequal classes
    recipe, options = MORE[case]
    if cuda_forms:
        use_cuda_forms(monkeypatch)
    eager = train(make_emulated(images, recipe, replayed=False, **options))
    assert_equal(train(make_emulated(images, recipe, **options)), eager)
    assert graphs[0][0].replays == 3 * 6 - 3
    assert_equal(resume(images, recipe, **options), (eager[0][2:], eager[1]))


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("augmentation", [WHOLE, VIEWS], ids=["crop", "view"])
@pytest.mark.parametrize("share", [1, 0], ids=["resident", "mapped"])
@pytest.mark.half
def test_a_replayed_training_in_the_forms_of_cuda_is_the_eager_one_too(
    graphs, colored, monkeypatch, norm, augmentation, share
):
    plain = train(make_emulated(colored, "onecycle", augmentation, norm, replayed=False))
    use_cuda_forms(monkeypatch)
    monkeypatch.setattr(mapped, "RESIDENT_SHARE", share)
    eager = train(make_emulated(colored, "onecycle", augmentation, norm, replayed=False))
    assert not is_equal(eager[1], plain[1])  # they round otherwise
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
        return loss if loss[0].item() > -1 else -loss

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
    assert not is_equal(*found)


def test_every_call_does_its_step_once_on_its_own_rows(watched):
    done, generator = torch.zeros(6), torch.Generator()

    def step(rows):
        done.index_add_(0, rows, torch.ones(len(rows)))
        return rows.sum()

    replayed = ReplayedStep(generator)
    results = [replayed(step, torch.tensor([call, call + 1])).item() for call in range(5)]
    assert results == [2 * call + 1 for call in range(5)]
    assert done.tolist() == [1, 2, 2, 2, 2, 1]
    ((graph, stream),) = watched
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


def without_first_wait(current, side):
    """A warm-up step that begins while the step before it may be running."""
    return [(current, side)]


def without_last_wait(current, side):
    """A warm-up step whose results are used before it is done."""
    return [(side, current)]


@each_recipe
@pytest.mark.parametrize("share", [1, 0], ids=["resident", "mapped"])
def test_streams_wait_for_each_other(watched, colored, monkeypatch, recipe, share):
    monkeypatch.setattr(mapped, "RESIDENT_SHARE", share)
    trainer = make_emulated(colored, recipe, norm="batch")
    train(trainer, epochs=[1, 2])
    assert watched[0][0].replays == 2 * 6 - 3


@pytest.mark.usefixtures("watched")
@pytest.mark.parametrize("share", [1, 0], ids=["resident", "mapped"])
@pytest.mark.parametrize("omitted", [without_first_wait, without_last_wait])
def test_a_stream_that_does_not_wait_is_noticed(colored, monkeypatch, omitted, share):
    monkeypatch.setattr(mapped, "RESIDENT_SHARE", share)
    trainer = make_emulated(colored, "onecycle")
    current, side = torch.cuda.current_stream(trainer.device), trainer._replayed._stream
    wait = emulated_streams.Stream.wait_stream

    def wait_unless_omitted(stream, other):
        if (other, stream) not in omitted(current, side):
            wait(stream, other)

    monkeypatch.setattr(emulated_streams.Stream, "wait_stream", wait_unless_omitted)
    with pytest.raises(RaceError, match="uses memory of another stream, for which this one does not wait"):
        trainer.run_epoch(1, lambda: None)


@pytest.mark.usefixtures("graphs")
def test_another_thread_may_wait_for_its_copies_while_a_graph_is_captured():
    """The thread that prefetches images does, at any time."""
    refused = []

    def wait():
        try:
            torch.cuda.Event().synchronize()
        except CaptureError as error:
            refused.append(error)

    def step(rows):
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join()
        return rows.sum()

    replayed = ReplayedStep(torch.Generator())
    for call in range(5):
        replayed(step, torch.tensor([call]))
    assert refused == []


class NoRoom(TorchDispatchMode):
    """Memory that is full after so many operations."""

    def __init__(self, left):
        super().__init__()
        self.left = left

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        self.left -= 1
        if self.left < 0:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 128.00 MiB.\nGPU 0 has ...")
        return function(*arguments, **(options or {}))


@pytest.fixture
def no_room(graphs, monkeypatch):
    """A function that has each capture run out of memory after some operations, or as it ends; return the list of captures.

    Such a capture may leave its stream the current one, and the generators advanced.
    """
    record, captures, freed = torch.cuda.graph, [], []

    def limit(operations):
        @contextmanager
        def fail(graph, stream, **options):
            captures.append(stream)
            with record(graph, stream, **options), NoRoom(operations):
                yield
                raise RuntimeError("CUDA error: out of memory")

        @contextmanager
        def leave_a_mess(graph, stream, **options):
            try:
                with fail(graph, stream, **options):
                    yield
            except RuntimeError:
                torch.cuda.set_stream(stream)
                torch.rand(3)
                torch.rand(3, generator=generators[-1])
                raise

        monkeypatch.setattr(torch.cuda, "graph", leave_a_mess)
        return captures

    generators = []
    make = ReplayedStep.__init__
    monkeypatch.setattr(
        ReplayedStep, "__init__", lambda self, generator: generators.append(generator) or make(self, generator)
    )
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: freed.append(None))
    yield limit
    assert len(freed) == len(captures)


@each_recipe
@pytest.mark.parametrize("share", [1, 0], ids=["resident", "mapped"])
@pytest.mark.parametrize("operations", [0, 1, 60, 10_000])
def test_a_training_whose_graph_does_not_fit_goes_on_eagerly(no_room, colored, monkeypatch, recipe, share, operations):
    monkeypatch.setattr(mapped, "RESIDENT_SHARE", share)
    eager = train(make_emulated(colored, recipe, norm="batch", replayed=False))
    captures = no_room(operations)
    trainer = make_emulated(colored, recipe, norm="batch")
    current = torch.cuda.current_stream(trainer.device)
    assert_equal(train(trainer), eager)
    assert captures == [trainer._replayed._stream]  # it is not tried again
    assert torch.cuda.current_stream(trainer.device) is current
    assert trainer.take_warning().startswith("a CUDA graph of the training step does not fit in memory (CUDA ")
    assert trainer.take_warning() is None


def test_that_a_graph_does_not_fit_is_told_once(no_room, colored):
    told, callback = [], Callback()
    callback.warn = told.append
    no_room(60)
    training = make_emulated(colored, "onecycle")
    run(training, colored, callbacks=[callback])
    (warning,) = [text for text in told if "graph" in text]
    assert warning == (
        "I: a CUDA graph of the training step does not fit in memory (CUDA out of memory. Tried to allocate 128.00 MiB.): "
        "training goes on without it, with the same result, but slower; lower batch_size or width to have room for it"
    )


def test_other_errors_of_a_capture_are_raised(graphs, colored, monkeypatch):
    monkeypatch.setattr(ReplayedStep, "_capture", lambda *_: torch.zeros(2) + torch.zeros(3))
    with pytest.raises(RuntimeError, match="must match"):
        make_emulated(colored, "onecycle").run_epoch(1, lambda: None)


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
