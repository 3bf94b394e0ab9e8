"""Functions that the processes of a group run in tests: trainings of two models, some with a process that fails."""

import contextlib
import dataclasses
import importlib
import os
import signal
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
from callbacks import Hooks
from test_training import AUGMENTATION, recipe, trainer_for
from torch import distributed

from deepen.config.recipes import SgdSettings
from deepen.core.errors import InputError
from deepen.data import prefetch as mapped
from deepen.data.images import ImageSet
from deepen.evaluation.accuracy import evaluate
from deepen.growth.initialization import draw_he_weights, grow
from deepen.models.layers import freeze, plan
from deepen.models.tensors import compute_tensors_checksum, to_arrays
from deepen.runtime import group as module
from deepen.runtime import roll_call
from deepen.runtime.device import choose_device
from deepen.runtime.group import Group
from deepen.training.checkpoint import Checkpoints
from deepen.training.loop import train
from deepen.training.trainer import Trainer

CPU = torch.device("cpu")
LADDER = {"I": "conv3-8 maxpool fc-16", "II": "conv3-8*2 maxpool fc-16*2"}
CASES = {
    "muon": {},
    "sgd": {"optimizer": SgdSettings(name="sgd", momentum=0.9, nesterov=True, weight_decay=1e-3)},
    "norm": {},
    "frozen": {},
    "uneven": {"batch_size": 11},
    "balanced": {"batch_size": 11, "class_weights": "balanced"},
    "skipping": {"batch_size": 11, "skip_easy": 0.3},
    "views": {},
    "mapped": {},
}


def images(case=""):
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), [34, 20, 6] if case == "balanced" else 20)
    pixels = rng.integers(0, 80, (60, 3, 8, 8), dtype=np.uint8)
    pixels[np.arange(60), labels] += 150
    return ImageSet(pixels, labels, ("red", "green", "blue"))


def ladder(case, folder):
    """Train each model for two epochs; return the losses, the counts of the second model, and whether this process writes."""
    choose_device("cpu", 1)
    if case == "mapped":
        mapped.RESIDENT_SHARE = 0
    group, found = Group(), []
    training = recipe(dropout=0.3, **CASES[case])
    augmentation = dataclasses.replace(AUGMENTATION, view=6, scale_jitter=2.0) if case == "views" else AUGMENTATION
    side = augmentation.view or 8
    with group.join(folder, CPU):
        state = {}
        for model, notation in LADDER.items():
            layers = plan(
                notation,
                width=1,
                image=(3, side, side),
                classes=3,
                norm="batch" if case in ("norm", "frozen") else "none",
            )
            start = draw_he_weights(layers, seed=0, model=model) | state
            fresh = [layer.role for layer in layers if layer.tensors() and f"{layer.role}.weight" not in state]
            state, _ = grow(start, layers, fresh if state else [], "identity")
            layers = freeze(layers, ["conv1_1", "norm1_1", "fc1"] if case == "frozen" and fresh else [])
            trainer = trainer_for(
                images(case), training, layers=layers, state=state, epochs=2, augmentation=augmentation, group=group
            )
            found.append(train(trainer, images(), group=group).epochs)
            state = to_arrays(trainer.network.state_dict())
        correct = evaluate(
            trainer.network,
            images(),
            trainer.mean,
            flip_averaging=True,
            batch_size=7,
            views=trainer.views,
            group=group,
        ).correct
    return {"losses": [row.loss for history in found for row in history], "correct": correct, "writes": group.writes}


def ladder_with_a_stray(folder):
    """Train the same, but the last process takes the images of the first."""
    honest = Group.shard

    def stray(self, batch):
        return slice(0, batch // self.size) if self.rank == self.size - 1 else honest(self, batch)

    Group.shard = stray
    return ladder("muon", folder)


def ladder_with_one_that(does, folder):
    """Train the same, but the second process hangs or dies after some steps; the others wait for two seconds."""
    module.TIMEOUT, roll_call._SECONDS = timedelta(seconds=2), 2.0
    steps, learn = [], Trainer._train_step

    def wrong(self, rows):
        steps.append(1)
        if self._group.rank == 1 and len(steps) == 4:
            os.kill(os.getpid(), {"hangs": signal.SIGSTOP, "dies": signal.SIGKILL}[does])
        return learn(self, rows)

    Trainer._train_step = wrong
    return ladder("muon", folder)


def small_batches(size, folder):
    group = Group()
    with group.report_once(), group.join(folder, CPU):
        trainer_for(images(), recipe(batch_size=size), group=group)


def folders(*names):
    """Return whether this process writes; the processes are in the named folders, each name its own machine."""
    rank = int(os.environ["RANK"])
    os.environ["LOCAL_RANK"] = str(sum(name == names[rank] for name in names[:rank]))
    group = Group()
    with group.join(Path(names[rank]), CPU):
        return group.writes


def alone_among_others():
    """Return rank, size and writing of the default group of a module that is imported under torchrun."""
    again = importlib.reload(module).SINGLE_PROCESS
    return again.rank, again.size, again.writes


def hang_beside_gpus(folder, device):
    """What rank 0 of two on a machine with GPUs is told where rank 1 hangs, after so many seconds; with the timeouts."""
    module.TIMEOUT, roll_call._SECONDS = timedelta(seconds=4), 0.1
    torch.cuda.is_available = lambda: True
    initialize, asked = distributed.init_process_group, {}

    def initialize_without_gpus(backend, *, timeout, **options):
        asked[backend] = timeout.total_seconds()
        initialize("gloo", timeout=timeout, **options)

    distributed.init_process_group = initialize_without_gpus
    group = Group()
    with group.join(folder, torch.device(device)):
        if group.rank == 1:
            os.kill(os.getpid(), signal.SIGSTOP)
        begin = time.monotonic()
        try:
            if device == "cpu":  # in a step; of GPUs, that would be NCCL's
                with group.reraise_lost_rank():
                    group.all_reduce_sum(torch.ones(1))
            group.all_reduce_max(1)
        except InputError as error:
            raise RuntimeError(asked, time.monotonic() - begin, str(error)) from error


def stopped_early(folder, stop_after=None):
    """Train with patience; return the history, the kept epoch and a checksum of the weights. Or stop after some steps."""
    choose_device("cpu", 1)
    group, kept = Group(), []

    def stop():
        if trainer.step == stop_after:
            raise _StoppedError

    validation = images()
    validation.labels[::3] = (validation.labels[::3] + 1) % 3
    with contextlib.suppress(_StoppedError), group.join(folder, CPU):
        trainer = trainer_for(images(), recipe(dropout=0.3), epochs=9, group=group)
        checkpoints = Checkpoints(folder / "checkpoints", 0) if group.writes else None
        callback = Hooks(step=stop, keep=kept.append)
        epochs = train(trainer, validation, checkpoints, group=group, callbacks=[callback], patience=2).epochs
        weights = compute_tensors_checksum("", trainer.network.state_dict())
        return {"epochs": epochs, "kept": kept[0].epoch, "weights": weights}
    return None


class _StoppedError(Exception):
    pass


def enter_late(folder):
    """Join two processes, the second of them late; return when it has connected, or when the first one goes on."""
    late, initialize, found = int(os.environ["RANK"]) == 1, Group._initialize, []

    def initialize_late(self, device):
        initialize(self, device)
        if late:
            time.sleep(1)
            found.append(time.monotonic())

    Group._initialize = initialize_late
    with Group().join(folder, CPU):
        return found[0] if late else time.monotonic()


def end_before_others_connect(named, folder):
    """Join two processes, the second of which ends before it connects or, unless `named`, before it stores its name."""
    module.TIMEOUT, roll_call._SECONDS = timedelta(seconds=1), 0.5
    if int(os.environ["RANK"]) == 1:
        ends, step = (Group, "_initialize") if named else (roll_call.RollCall, "enter")
        setattr(ends, step, lambda *arguments: os.kill(os.getpid(), signal.SIGKILL))
    group = Group()
    with group.report_once(), group.join(folder, CPU):
        pass
