"""A training gone on with is the training that was never stopped, bit for bit; what is damaged is told and passed by."""

import contextlib
import itertools
import json
import os
import signal
import struct

import pytest
import torch
from callbacks import Hooks
from safetensors.torch import save_file
from tensors import draw_he_weights
from test_training import LAYERS, recipe, trainer_for

from deepen.config.recipes import MuonSettings, Plateau, SgdSettings
from deepen.core import files as writing
from deepen.core.errors import InputError, Interrupted
from deepen.models.layers import freeze, plan
from deepen.records.history import Epoch
from deepen.training import checkpoint as module
from deepen.training import trainer as trainer_module
from deepen.training.checkpoint import (
    Checkpoint,
    Checkpoints,
    Position,
    compute_training_key,
    load_checkpoint,
    save_checkpoint,
)
from deepen.training.loop import train
from deepen.training.position import describe_checkpoint

STEPS = 21  # of three epochs


class Killed(Exception):
    """Stands for SIGKILL: nothing that follows is run."""


def go(images, folder=None, *, stop_after=None, training=None, layers=LAYERS, start=0, **options):
    """Train for three epochs, or until so many steps are done; returns weights and history."""
    training = training or recipe(dropout=0.3)
    steps = [start]

    def killed_after(step):
        steps[0] += 1
        if steps[0] == stop_after:
            raise Killed

    trainer = trainer_for(images, training, layers=layers, state=draw_he_weights(layers, seed=0, model="I"), **options)
    callback = Hooks(start=lambda step, epochs: steps.__setitem__(0, step), step=lambda: killed_after(None))
    history = train(trainer, images, Checkpoints(folder, 0) if folder else None, callbacks=[callback]).epochs
    return trainer.network.state_dict(), history


def same(one, other):
    return one[1] == other[1] and all(torch.equal(one[0][key], other[0][key]) for key in one[0])


NORMS = plan("conv3-8 maxpool fc-16", width=1, image=(3, 8, 8), classes=3, norm="batch")


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"layers": NORMS},
        {"layers": freeze(NORMS, ["conv1_1", "norm1_1"])},
        {"training": recipe(optimizer=SgdSettings(name="sgd", momentum=0.9, nesterov=True, weight_decay=1e-3))},
        {"training": recipe(optimizer=SgdSettings(name="sgd", momentum=0, nesterov=False, weight_decay=0))},
        {"training": recipe(optimizer=MuonSettings(name="muon", momentum=0.0, weight_decay=0.1))},
        {"training": recipe("published", schedule=Plateau(name="plateau", factor=0.5, patience=0))},
        {"dtype": torch.bfloat16},
    ],
)
def test_a_training_stopped_anywhere_ends_in_the_same_bits(colored, tmp_path, case):
    undisturbed = go(colored, **case)
    for stop in (1, 7, 8, 20):
        folder = tmp_path / str(stop)
        with pytest.raises(Killed):
            go(colored, folder, stop_after=stop, **case)
        assert same(go(colored, folder, **case), undisturbed), stop


def test_a_training_stopped_after_every_step_ends_in_the_same_bits(colored, tmp_path):
    for stop in range(2, STEPS + 1):  # the step that is stopped in was not kept, and is done again
        with pytest.raises(Killed):
            go(colored, tmp_path / "x", stop_after=stop)
    assert same(go(colored, tmp_path / "x"), go(colored))


def test_all_the_counters_of_a_plateau_come_back(colored, tmp_path):
    training = recipe("published", schedule=Plateau(name="plateau", factor=0.5, patience=1))
    trainers = []
    for folder in (tmp_path / "x", tmp_path / "x", None):
        trainers.append(trainer_for(colored, training))
        stop = [Hooks(epoch=lambda row: 1 / (2 - row.epoch))] if len(trainers) == 1 else []
        with contextlib.suppress(ZeroDivisionError):
            train(trainers[-1], colored, Checkpoints(folder, 0) if folder else None, callbacks=stop)
    stopped, resumed, undisturbed = (trainer.schedule._plateau.state_dict() for trainer in trainers)
    assert resumed == undisturbed != stopped


@pytest.mark.parametrize("what", ["order", "augmentation", "dropout"])
def test_randomness_that_is_not_gone_on_with_would_be_noticed(colored, tmp_path, monkeypatch, what):
    undisturbed = go(colored)
    with pytest.raises(Killed):
        go(colored, tmp_path / "x", stop_after=10)
    derive = trainer_module.derive_seed

    def replayed(seed, model, use, epoch, step=0):  # as if the second epoch were the first again
        return derive(seed, model, use, epoch - (use == what and epoch == 2), step)

    monkeypatch.setattr(trainer_module, "derive_seed", replayed)
    assert not same(go(colored, tmp_path / "x"), undisturbed)


@pytest.mark.parametrize("left_out", ["momentum.fc1.weight", "weights.head.bias", "losses"])
def test_a_tensor_that_is_left_out_would_be_noticed(colored, tmp_path, monkeypatch, left_out):
    undisturbed = go(colored)
    with pytest.raises(Killed):
        go(colored, tmp_path / "x", stop_after=10)
    load = module.load_checkpoint

    def forgetful(path, training):
        found = load(path, training)
        return Checkpoint(found.position, {**found.tensors, left_out: torch.zeros_like(found.tensors[left_out])})

    monkeypatch.setattr(module, "load_checkpoint", forgetful)
    assert not same(go(colored, tmp_path / "x"), undisturbed)


def test_a_loss_that_is_not_finite_is_never_kept(colored, tmp_path):
    with pytest.raises(InputError, match="the loss is"):
        go(colored, tmp_path / "x", peak_lr=1e9, epochs=50)
    for path in (tmp_path / "x").iterdir():
        assert all(tensor.isfinite().all() for tensor in load_checkpoint(path, "x").tensors.values())


def test_a_checkpoint_is_due_after_its_seconds_whatever_the_wall_clock_says(tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(module.time, "time", lambda: -1e9)
    checkpoints = Checkpoints(tmp_path / "x", 60)
    assert not checkpoints.due
    now[0] += 59.9
    assert not checkpoints.due
    now[0] += 60 - 59.9
    assert checkpoints.due
    checkpoints.save(EXAMPLE)
    assert not checkpoints.due


def test_a_checkpoint_is_due_at_each_step_if_its_seconds_are_zero(tmp_path, monkeypatch):
    monkeypatch.setattr(module.time, "monotonic", lambda: 1000.0)  # a clock coarser than a step
    assert Checkpoints(tmp_path / "x", 0).due


@pytest.mark.parametrize(("seconds", "kept"), [(0.0, 1), (6.0, 3)])
def test_epochs_of_a_moment_share_a_checkpoint_and_the_end_is_kept(colored, tmp_path, monkeypatch, seconds, kept):
    clock, saved = itertools.count(), []
    monkeypatch.setattr(module.time, "monotonic", lambda: seconds * next(clock))
    monkeypatch.setattr(module, "save_checkpoint", lambda path, found: saved.append(found.position.step))
    checkpoints = Checkpoints(tmp_path, 1e9)
    train(trainer_for(colored, recipe(dropout=0.3)), colored, checkpoints)
    assert saved == [7, 14, STEPS][-kept:]


class Asked:
    """As an Interruption that someone asks for after some steps."""

    def __init__(self, after):
        self.left = after

    @property
    def received(self):
        self.left -= 1
        return signal.SIGTERM if self.left < 0 else None

    def check(self, when, elsewhere=None):
        if self.left < 0:
            raise Interrupted(when, 143)


def test_a_process_that_waits_for_the_last_checkpoint_loses_no_step(colored, tmp_path):
    undisturbed = go(colored)
    checkpoints = Checkpoints(tmp_path / "x", 1e9)
    with pytest.raises(Interrupted, match="after 10 of 21 steps"):
        train(trainer_for(colored, recipe(dropout=0.3)), colored, checkpoints, Asked(9))
    assert describe_checkpoint(max((tmp_path / "x").iterdir())).step == 10
    assert same(go(colored, tmp_path / "x"), undisturbed)


POSITION = Position(training="x", step=10, steps=21, epochs=3, history=[Epoch(1, 0.1, 1.0, 2.0, 50.0)])
EXAMPLE = Checkpoint(POSITION, {"a": torch.arange(6.0).view(2, 3), "b": torch.ones((), dtype=torch.bfloat16)})


def at(step):
    return Checkpoint(POSITION.model_copy(update={"step": step}), EXAMPLE.tensors)


def test_a_checkpoint_is_loaded_as_it_was_saved(tmp_path):
    save_checkpoint(tmp_path / "a", EXAMPLE)
    found = load_checkpoint(tmp_path / "a", "x")
    assert found.position == describe_checkpoint(tmp_path / "a") == POSITION
    assert found.tensors.keys() == EXAMPLE.tensors.keys()
    assert all(torch.equal(tensor, EXAMPLE.tensors[key]) for key, tensor in found.tensors.items())


def test_a_checkpoint_exists_once_it_is_saved(tmp_path):
    checkpoints = Checkpoints(tmp_path / "I-0a1b2c", 0)
    assert not checkpoints.exist()
    checkpoints.save(at(10))
    assert checkpoints.exist()
    assert Checkpoints(tmp_path / "I-0a1b2c", 0).exist()


def test_the_newest_and_the_one_before_are_kept_and_what_a_killed_process_left_goes(tmp_path):
    checkpoints = Checkpoints(tmp_path / "x", 0)
    (tmp_path / "x" / ".left.writing").mkdir(parents=True)
    for step in (8, 9, 10, 11):
        checkpoints.save(at(step))
    assert [describe_checkpoint(path).step for path in sorted((tmp_path / "x").iterdir())] == [10, 11]
    assert Checkpoints(tmp_path / "x", 0).load_newest().position.step == 11
    checkpoints.remove()
    assert os.listdir(tmp_path) == []


def damaged(path, how):
    content = path.read_bytes()
    if how == "truncated":
        content = content[:-5]
    elif how == "empty":
        content = b""
    elif how == "a bit of a tensor":
        content = content[:-3] + bytes([content[-3] ^ 1]) + content[-2:]
    elif how == "a bit of the position":
        content = content.replace(b'steps\\\\\\":21', b'steps\\\\\\":20')
    elif how == "a huge header":
        content = struct.pack("<Q", 1 << 60) + content[8:]
    elif how == "noise":
        content = bytes(range(256)) * 40
    assert content != path.read_bytes()
    path.write_bytes(content)


DAMAGES = ["truncated", "empty", "a bit of a tensor", "a bit of the position", "a huge header", "noise"]


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_one_is_reported_and_the_one_before_counts(tmp_path, capsys, how):
    checkpoints = Checkpoints(tmp_path / "x", 0)
    for step in (9, 10):
        checkpoints.save(at(step))
    before, newest = sorted((tmp_path / "x").iterdir())
    damaged(newest, how)
    assert Checkpoints(tmp_path / "x", 0).load_newest().position.step == 9
    assert f"{newest}: is damaged (" in (told := capsys.readouterr().err)
    assert told.endswith("); trying the checkpoint before it\n")
    damaged(before, how)
    assert Checkpoints(tmp_path / "x", 0).load_newest() is None
    assert f"{tmp_path / 'x'}: no valid checkpoint; starting over" in capsys.readouterr().err


def test_every_flipped_byte_of_a_checkpoint_is_noticed(tmp_path):
    save_checkpoint(tmp_path / "a", EXAMPLE)
    content = (tmp_path / "a").read_bytes()
    for i in range(len(content)):
        (tmp_path / "a").write_bytes(content[:i] + bytes([content[i] ^ 4]) + content[i + 1 :])
        try:
            found = load_checkpoint(tmp_path / "a", "x")
        except InputError:
            continue
        assert found.position == POSITION  # the padding of the header, which says nothing
        assert all(torch.equal(tensor, EXAMPLE.tensors[key]) for key, tensor in found.tensors.items())


def test_one_damaged_checkpoint_does_not_displace_a_whole_one(tmp_path):
    checkpoints = Checkpoints(tmp_path / "x", 0)
    for step in (9, 20):
        checkpoints.save(at(step))
    damaged(max((tmp_path / "x").iterdir()), "truncated")
    again = Checkpoints(tmp_path / "x", 0)
    again.load_newest()
    again.save(at(12))
    assert [describe_checkpoint(path).step for path in sorted((tmp_path / "x").iterdir())] == [9, 12]


def test_a_checkpoint_of_another_format_or_training_is_not_used(tmp_path):
    save_checkpoint(tmp_path / "a", Checkpoint(POSITION.model_copy(update={"version": 7}), {}))
    with pytest.raises(InputError, match=r"a: unsupported checkpoint format version 7, expected 1$"):
        load_checkpoint(tmp_path / "a", "x")
    save_checkpoint(tmp_path / "b", EXAMPLE)
    with pytest.raises(InputError, match=r"b: belongs to another training, x$"):
        load_checkpoint(tmp_path / "b", "y")


@pytest.mark.parametrize("metadata", [None, {}, {"deepen-checkpoint": "3"}, {"deepen-checkpoint": '{"position": "{}"}'},
                                      {"deepen-checkpoint": json.dumps({"position": '{"version": 1}', "sha256": ""})},
                                      {"deepen-checkpoint": json.dumps({"position": "[]", "sha256": ""})}])  # fmt: skip
def test_a_file_that_is_not_a_checkpoint_is_an_error(tmp_path, metadata):
    save_file({"a": torch.zeros(1)}, tmp_path / "a", metadata=metadata)
    with pytest.raises(InputError, match=r"a: is damaged \("):
        load_checkpoint(tmp_path / "a", "x")


WRITES = [(writing.tempfile, "mkdtemp"), (writing.os, "fsync"), (writing.os, "replace"), (writing.shutil, "rmtree"),
          (module, "save_file")]  # fmt: skip


@pytest.mark.parametrize("half_done", [False, True])
@pytest.mark.parametrize("place", range(6))
def test_killed_at_any_moment_of_a_write_there_is_a_whole_checkpoint(tmp_path, place, half_done):
    """In a process of its own, which is killed at the n-th call that changes the disk, before it or after it."""
    checkpoints = Checkpoints(tmp_path / "x", 0)
    for step in (8, 9):
        checkpoints.save(at(step))
    child = os.fork()
    if child == 0:
        left = [place]

        def deadly(call):
            def wrapped(*arguments, **options):
                if left[0] == 0 and not half_done:
                    os.kill(os.getpid(), signal.SIGKILL)
                result = call(*arguments, **options)
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1
                return result

            return wrapped

        for owner, name in WRITES:
            setattr(owner, name, deadly(getattr(owner, name)))
        checkpoints.save(at(10))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    found = Checkpoints(tmp_path / "x", 0).load_newest()
    assert found.position.step in (9, 10)
    assert torch.equal(found.tensors["a"], EXAMPLE.tensors["a"])


def test_the_training_key_depends_on_settings_files_and_code(tmp_path):
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("a")
    key = compute_training_key({"lr": 0.1}, [tmp_path / "a"])
    assert len(key) == 12
    assert key == compute_training_key({"lr": 0.1}, [tmp_path / "a"])
    others = [compute_training_key({"lr": 0.2}, [tmp_path / "a"]), compute_training_key({"lr": 0.1}, [tmp_path / "b"])]
    (tmp_path / "a").write_text("b")
    others.append(compute_training_key({"lr": 0.1}, [tmp_path / "a"]))
    assert len({key, *others}) == 4


def test_the_key_changes_with_the_code_and_with_pytorch(monkeypatch, tmp_path):
    key = compute_training_key({}, [])
    (tmp_path / "trainer.py").write_text("changed")
    with monkeypatch.context() as patch:
        patch.setattr(trainer_module, "__file__", str(tmp_path / "trainer.py"))
        assert compute_training_key({}, []) != key
    monkeypatch.setattr(module.torch, "__version__", "1.0")
    assert compute_training_key({}, []) != key


def test_a_waiting_process_finds_the_last_checkpoint(colored, tmp_path):
    undisturbed = go(colored)
    ours = Checkpoints(tmp_path / "x", 0)
    ours.withdraw_request()
    theirs = Checkpoints(tmp_path / "x", 0)
    other = Hooks(start=lambda steps, epochs: theirs.request_last())
    train(trainer_for(colored, recipe(dropout=0.3)), colored, ours, callbacks=[other])
    ours.remove()
    steps = []
    theirs.withdraw_request()
    trainer = trainer_for(colored, recipe(dropout=0.3))
    history = train(trainer, colored, theirs, callbacks=[Hooks(step=lambda: steps.append(None))]).epochs
    assert same((trainer.network.state_dict(), history), undisturbed)
    assert steps == []
    theirs.remove()
    assert os.listdir(tmp_path) == []
