import threading
import time
from contextlib import closing
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch
from tensors import draw_he_weights
from test_training import AUGMENTATION, LAYERS, recipe, run, trainer_for
from torch.utils._python_dispatch import TorchDispatchMode
from tqdm import TMonitor

from deepen.core.errors import InputError
from deepen.data import prefetch as mapped
from deepen.data.augmentation import Augmentation, AugmentedImages
from deepen.data.images import ImageSet, load_images
from deepen.data.prefetch import MappedImages, fits_in_memory, prefetch
from deepen.data.statistics import compute_statistics
from deepen.evaluation.accuracy import evaluate
from deepen.models.vgg import build_network
from deepen.runtime import machine
from deepen.runtime.buffers import Buffer, PinnedBuffer, make_buffers

CPU = torch.device("cpu")


@pytest.fixture
def large(colored, tmp_path):
    """The colored images in a file."""
    colored.save(tmp_path / "train.safetensors")
    return load_images(tmp_path / "train.safetensors")


@pytest.fixture
def no_room(monkeypatch):
    """Images never fit."""
    monkeypatch.setattr(mapped, "RESIDENT_SHARE", 0)


@pytest.fixture(autouse=True)
def no_thread_is_left():
    """Threads of tqdm, which another test may have started, come and go."""
    before = set(threading.enumerate())
    yield
    assert {each for each in threading.enumerate() if not isinstance(each, TMonitor)} <= before


def equal(one, other):
    return all(torch.equal(one[key], other[key]) for key in one) and one.keys() == other.keys()


@pytest.mark.parametrize("augmentation", [AUGMENTATION, Augmentation(flip=False, crop=0.0, color_shift=0.0)])
def test_the_bits_are_those_of_images_in_memory(colored, large, no_room, monkeypatch, augmentation):
    mapped_weights, mapped_history = run(large, recipe(dropout=0.2), epochs=2.5, augmentation=augmentation)
    assert isinstance(trainer_for(large, recipe())._images, MappedImages)
    monkeypatch.setattr(mapped, "RESIDENT_SHARE", 1)
    assert isinstance(trainer_for(colored, recipe())._images, AugmentedImages)
    weights, history = run(colored, recipe(dropout=0.2), epochs=2.5, augmentation=augmentation)
    assert history == mapped_history
    assert equal(weights, mapped_weights)


def test_each_batch_comes_to_where_the_one_before_was_as_a_recorded_step_needs_it(colored, large):
    fed = MappedImages(large, AUGMENTATION, compute_statistics(colored.images), CPU)
    batches = torch.arange(60).view(6, 10)
    places = [fed._held._padded.data_ptr() for _ in range(2) for _ in fed.iter_batches(batches)]
    assert len(places) == 12
    assert len(set(places)) == 1


class Stopped(Exception):
    pass


@pytest.mark.parametrize("steps", [1, 6, 7, 10])
def test_a_mapped_training_resumes_within_an_epoch(colored, large, no_room, steps):
    whole, _ = run(large, recipe(dropout=0.2), epochs=2)
    trainer = trainer_for(large, recipe(dropout=0.2), epochs=2)

    def stop():
        if trainer.step == steps:
            raise Stopped

    with pytest.raises(Stopped):
        list(map(trainer.run_epoch, (1, 2), (stop, stop)))
    again = trainer_for(large, recipe(dropout=0.2), epochs=2)
    again.restore(steps, trainer.get_state())
    for epoch in (1, 2)[steps // 7 :]:
        again.run_epoch(epoch, lambda: None)
    assert equal(whole, again.network.state_dict())


def test_rows_of_a_map_are_learnt_from_as_if_copied(colored, large, no_room):
    rows = np.random.default_rng(1).permutation(60)[:40]
    copied = ImageSet(colored.images[rows], colored.labels[rows], colored.classes)
    assert equal(run(large.select(rows), recipe())[0], run(copied, recipe())[0])


@pytest.mark.parametrize("pinned", [False, True])
def test_the_thread_that_gathers_has_no_helpers(rng, monkeypatch, pinned):
    """PyTorch's wait busily, on the cores that the network trains on."""
    threads = torch.get_num_threads()
    if pinned:
        LateCopies(monkeypatch)
        make_pinned(monkeypatch)
    images = ImageSet(rng.integers(0, 255, (256, 3, 64, 64), np.uint8), np.zeros(256, np.int64), ("one",))
    fed = MappedImages(images, AUGMENTATION, compute_statistics(images.images), CPU)
    torch.set_num_threads(2)
    try:
        torch.zeros(1_000_000).add_(1)  # has those of this thread started
        before = psutil.Process().num_threads()
        with closing(fed.iter_batches(torch.arange(256).view(2, 128))) as left:
            next(left)
            assert psutil.Process().num_threads() <= before + 1
    finally:
        torch.set_num_threads(threads)


def test_a_mapped_batch_can_have_any_rows(colored, large):
    """A process among several asks for its part of each batch."""
    statistics = compute_statistics(colored.images)
    held = AugmentedImages(colored.images, AUGMENTATION, statistics, CPU)
    fed = MappedImages(large, AUGMENTATION, statistics, CPU)
    assert len(fed) == len(held) == 60
    batches = torch.randperm(60, generator=torch.Generator().manual_seed(0)).view(6, 10)[:, 1::2]
    for rows in fed.iter_batches(batches):
        ours, theirs = (images.batch(rows, torch.Generator().manual_seed(3)) for images in (fed, held))
        assert torch.equal(ours, theirs)


class CopyMode(TorchDispatchMode):
    """Notes whether each copy into a tensor may return before it is done."""

    def __init__(self):
        super().__init__()
        self.non_blocking = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        if operation is torch.ops.aten.copy_.default:
            self.non_blocking.append((args[2:] or [(kwargs or {}).get("non_blocking", False)])[0])
        return operation(*args, **(kwargs or {}))


def test_a_copy_from_memory_that_is_not_pinned_waits_until_it_is_done(colored, large):
    """On Apple's GPU one that does not wait would read memory that another batch has by then."""
    fed = MappedImages(large, AUGMENTATION, compute_statistics(colored.images), CPU)
    with CopyMode() as copies:
        list(fed.iter_batches(torch.arange(60).view(6, 10)))
    assert copies.non_blocking == [False] * 5  # the first batch's memory is new


class LateCopies:
    """Copies to a GPU that is far behind: each is done only when something waits for its event."""

    def __init__(self, monkeypatch):
        self.started, self.threads = [], []
        empty = torch.empty

        def make(*args, pin_memory=False, **options):
            self.threads += [threading.current_thread()] * pin_memory
            return empty(*args, **options)

        monkeypatch.setattr(torch, "empty", make)
        monkeypatch.setattr(torch.cuda, "Event", lambda blocking: LateEvent(self))
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device: None)

    def replace(self, target, source):
        self.started.append((target, source))

    def finish(self):
        while self.started:
            target, source = self.started.pop(0)
            target.append(source.clone())


def make_pinned(monkeypatch):
    """Have pinned buffers on a CPU too."""
    monkeypatch.setattr(
        mapped, "make_buffers", lambda count, size, device: [PinnedBuffer(size, device) for _ in range(count)]
    )


class LateEvent:
    def __init__(self, copies):
        self.copies, self.recorded = copies, False

    def record(self, stream):
        self.recorded = True

    def synchronize(self):
        if self.recorded:
            self.copies.finish()


def test_pinned_memory_is_filled_again_only_once_its_copy_is_done(colored, large, monkeypatch):
    late, arrived = LateCopies(monkeypatch), []
    make_pinned(monkeypatch)
    fed = MappedImages(large, AUGMENTATION, compute_statistics(colored.images), CPU)
    padded = [fed._held.pad(colored.images[start : start + 2]) for start in range(0, 60, 2)]
    monkeypatch.setattr(fed._held, "replace", lambda batch: late.replace(arrived, batch))
    for _ in range(2):
        list(fed.iter_batches(torch.arange(60).view(30, 2)))
    late.finish()
    assert all(torch.equal(one, other) for one, other in zip(arrived, padded * 2, strict=True))
    assert late.threads == [threading.main_thread()] * 2 * (mapped.AHEAD + 2)


def test_only_cuda_needs_pinned_memory(monkeypatch):
    late = LateCopies(monkeypatch)
    for name, kinds in (("cpu", [Buffer]), ("mps", [Buffer]), ("cuda", [PinnedBuffer] * 2)):
        assert [type(buffer) for buffer in make_buffers(2, 10, torch.device(name))] == kinds
    assert len(late.threads) == 2


def test_an_error_in_the_thread_comes_up_where_it_is_waited_for(large, no_room, monkeypatch):
    calls = []

    def batch(self, rows):
        calls.append(threading.current_thread())
        if len(calls) == 5:
            raise OSError("the disk is gone")
        return self.stored[rows]

    trainer = trainer_for(large, recipe())
    monkeypatch.setattr(ImageSet, "batch", batch)
    with pytest.raises(OSError, match="the disk is gone"):
        trainer.run_epoch(1, lambda: None)
    assert trainer.step == 4  # what was gathered before is learnt from
    assert threading.main_thread() not in calls


@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError])
def test_no_thread_outlives_an_epoch_that_ends_early(large, no_room, error):
    trainer, before = trainer_for(large, recipe()), set(threading.enumerate())

    def end():
        assert set(threading.enumerate()) > before
        raise error("x")

    with pytest.raises(error):
        trainer.run_epoch(1, end)
    assert set(threading.enumerate()) == before


def test_a_few_batches_are_gathered_ahead_and_no_more():
    asked = []

    def gather(rows):
        asked.append(rows[0])
        return torch.from_numpy(rows)

    batches = prefetch(gather, np.arange(20).reshape(20, 1))
    assert next(batches).item() == 0
    end = time.monotonic() + 10
    while len(asked) < mapped.AHEAD + 1 and time.monotonic() < end:
        time.sleep(0.001)
    time.sleep(0.05)
    assert asked == list(range(mapped.AHEAD + 1))
    assert [batch.item() for batch in batches] == list(range(1, 20))


def test_batches_ahead_are_not_gathered_once_the_iterator_is_closed():
    asked, closed = [], threading.Event()

    def gather(rows):
        asked.append(rows[0])
        assert rows[0] == 0 or closed.wait(10)
        return torch.from_numpy(rows)

    batches = prefetch(gather, np.arange(20).reshape(20, 1))
    assert next(batches).item() == 0
    timer = threading.Timer(0.2, closed.set)  # closing cancels what is pending, then waits for what has begun
    timer.start()
    batches.close()
    timer.join()
    assert len(asked) <= 2


def test_images_fit_in_a_share_of_memory_with_their_border(colored, monkeypatch):
    size = 60 * 3 * 10 * 10  # a crop moves by up to one of eight pixels, to either side
    for memory, fit in ((4 * size, True), (4 * size - 1, False)):
        monkeypatch.setattr(mapped, "get_total_memory", lambda device, memory=memory: memory)
        assert fits_in_memory(colored, AUGMENTATION, CPU) is fit


def test_the_memory_is_that_of_the_machine_or_what_a_control_group_allows(monkeypatch):
    whole = mapped.get_total_memory(CPU)
    assert 2**28 < whole < 2**50
    monkeypatch.setattr(machine, "_read_cgroup_limits", lambda: [2**29, 2**20])
    assert mapped.get_total_memory(CPU) == 2**20
    properties = SimpleNamespace(total_memory=80 * 10**9)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    assert mapped.get_total_memory(torch.device("cuda")) == 80 * 10**9


@pytest.mark.parametrize(
    ("groups", "limits", "found"),
    [
        ("0::/a/b\n", {"a/b/memory.max": "max", "a/memory.max": "300", "memory.max": "900"}, {300, 900}),
        ("0::/\n", {"memory.max": "300"}, {300}),
        ("5:cpu,cpuacct:/\n4:memory:/a\n0::/\n", {"memory/a/memory.limit_in_bytes": "7"}, {7}),
        ("0::/\n", {}, set()),
        (None, {}, set()),
    ],
)
def test_limits_of_control_groups_of_both_versions(tmp_path, groups, limits, found):
    if groups is not None:
        (tmp_path / "cgroup").write_text(groups)
    for name, limit in limits.items():
        (tmp_path / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fs" / name).write_text(f"{limit}\n")
    assert set(machine._read_cgroup_limits(tmp_path / "cgroup", tmp_path / "fs")) == found


def test_a_map_is_evaluated_as_it_lies_and_never_copied_as_a_whole(colored, large, monkeypatch):
    net = build_network(LAYERS, draw_he_weights(LAYERS, seed=0, model="I"), 0.0)
    monkeypatch.delattr(ImageSet, "images")
    found = [
        evaluate(net, images, torch.zeros(3), flip_averaging=True, batch_size=7)
        for images in (colored, large, large.select(np.arange(60)))
    ]
    assert found[0].loss == found[1].loss == found[2].loss
    assert torch.equal(found[0].probability, found[1].probability)
