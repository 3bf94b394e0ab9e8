"""Stage `train`: train a model from its initial weights, or resume it from its newest checkpoint."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from deepen.config.settings import Settings, load_settings
from deepen.core.notes import print_warnings
from deepen.data.augmentation import Augmentation
from deepen.data.images import ImageSet, load_images
from deepen.data.statistics import Statistics, load_statistics
from deepen.growth.ladder import estimate_remaining_work
from deepen.models.networks import load_network
from deepen.models.weights import ModelCard, read_weights_checksum, save_weights
from deepen.records.history import History
from deepen.runtime.device import choose_device, choose_dtype, find_slow_precision, name_dtype
from deepen.runtime.group import Group
from deepen.runtime.interrupt import Interruption
from deepen.runtime.lock import hold_lock
from deepen.tracking.following import TrackedTraining
from deepen.training.callback import Callback
from deepen.training.checkpoint import FOLDER, Checkpoints, compute_training_key
from deepen.training.examples import draw_augmentation_examples
from deepen.training.from_settings import make_trainer
from deepen.training.live import LiveCurves
from deepen.training.loop import train
from deepen.training.progress import TrainingProgress
from deepen.training.trainer import Trainer
from pipeline.shared import files
from pipeline.shared.agreement import compare_statistics, require_agreement
from pipeline.shared.stage import BASE, COMMAND, require_unchanged
from pipeline.shared.together import run_together
from pipeline.shared.tracked import list_settings, make_tracker

VERSIONS = {"PyTorch": torch.__version__, "Python": platform.python_version()}


def train_model(name: str, group: Group) -> None:
    settings = load_settings()
    settings.require_model(name)
    device = choose_device(settings.device, settings.cpu_threads, group.local_rank)
    start = files.init(name)
    images, validation = load_images(files.TRAIN), load_images(files.VALIDATION)
    weight_settings = _collect_settings(name, settings, device, len(images))
    key = compute_training_key(weight_settings, [files.TRAIN, files.VALIDATION, files.STATISTICS, start])
    checkpoints = Checkpoints(BASE / FOLDER / f"{name}-{key}", settings.checkpoint_seconds)
    # Rank 0 waits for the end of other trainings of this model; the other ranks wait for it, and can be stopped then.
    before = Interruption(name, COMMAND, speaks=False) if group.rank else _lock_training(name, checkpoints)
    with before, group.join(BASE / FOLDER, device), make_tracker(settings, name, group.rank) as tracker:
        card, network = load_network(start, settings.training.dropout)
        statistics = load_statistics(files.STATISTICS)
        _require_agreement(name, start, card, images, validation, statistics)
        trainer = make_trainer(settings, name, network, images, statistics, device, group=group)
        weight_settings |= {"frozen": card.frozen} if card.frozen else {}
        tracked = TrackedTraining(tracker, checkpoints.folder.name, list_settings(settings, card, weight_settings))
        require_unchanged()  # or the checkpoints would not match their key
        to_follow = estimate_remaining_work(
            settings, name, settings.view_shape(images.shape), len(images.classes), len(images)
        )
        with (
            Interruption(name, COMMAND, speaks=group.rank == 0, can_resume=checkpoints.exist) as interruption,
            _show_progress(name, settings, trainer, to_follow, group) as callbacks,
        ):
            own, callbacks = checkpoints if group.writes else None, [tracked, *callbacks]
            result = train(trainer, validation, own, interruption, group, callbacks, settings.training.patience)
        if not group.writes:
            return
        require_unchanged()  # if not, the trained weights stay in the checkpoint
        weights = save_weights(files.weights(name), network.state_dict(), card.model_copy(update={"frozen": None}))
        seen = trainer.step * trainer.batch_size
        began = read_weights_checksum(start)
        history = (weight_settings, VERSIONS, len(images), seen, began, weights, result.epochs)
        History(*history, len(validation), result.warning).save(files.history(name))
        _save_examples(name, settings, images, statistics, weights)
        tracker.log_weights(weights, files.weights(name))
        require_unchanged()
        checkpoints.remove()


def _save_examples(name: str, settings: Settings, images: ImageSet, statistics: Statistics, weights: str) -> None:
    """Save training images, original and augmented, for the report."""
    augmentation = Augmentation.of(settings.dataset, settings.training)
    examples = draw_augmentation_examples(images, augmentation, statistics, seed=settings.seed, origin=weights)
    examples.save(files.examples(name))


@contextmanager
def _show_progress(
    name: str, settings: Settings, trainer: Trainer, to_follow: float, group: Group
) -> Iterator[list[Callback]]:
    """Yield the callbacks that show progress on rank 0, and write live curves in each process that writes files."""
    live: list[Callback] = [LiveCurves(files.live(name))] if group.writes else []
    if group.rank:
        yield live
        return
    if slow := find_slow_precision(trainer.dtype, trainer.device):
        print_warnings([f"{name}: {slow}"])
    with TrainingProgress(
        name,
        trainer.epochs,
        trainer.steps,
        trainer.batch_size,
        where=_describe_device(settings, trainer, group),
        to_follow=to_follow,
        verbosity=settings.progress,
    ) as progress:
        yield [progress, *live]


def _describe_device(settings: Settings, trainer: Trainer, group: Group) -> str:
    """Name the processes, threads or device that train, and the precision unless a CPU has the usual float32."""
    device = trainer.device
    threads = f"{settings.cpu_threads} of {os.cpu_count()} CPU threads"
    precision = "" if (device.type, trainer.dtype) == ("cpu", torch.float32) else f" in {name_dtype(trainer.dtype)}"
    if group.size > 1:
        return f"{group.size} processes, each on {threads if device.type == 'cpu' else device.type}{precision}"
    return (f"{threads} (threads in params.yaml)" if device.type == "cpu" else str(device)) + precision


def _collect_settings(name: str, settings: Settings, device: torch.device, images: int) -> dict[str, object]:
    """Return the settings that determine the weights, with `auto` resolved; paths and checkpoint_seconds do not."""
    omitted = {"epochs"} if settings.training.patience else {"epochs", "patience"}
    return {
        "training": settings.training.model_dump(exclude=omitted) | {"batch_size": settings.batch_size(images)},
        "flip": settings.dataset.flip,
        "crop": Augmentation.of(settings.dataset, settings.training).crop,
        "peak_lr": settings.peak_lr(name),
        "epochs": settings.epochs(name, images),
        "seed": settings.seed,
        "device": device.type,
        "dtype": str(choose_dtype(settings.precision, device)),
        "threads": settings.cpu_threads,
    }


@contextmanager
def _lock_training(name: str, checkpoints: Checkpoints) -> Iterator[None]:
    """Hold the locks of this training and of this model's files, so that one process at a time trains and writes them.

    If only dvc is killed, the process that trains lives on; a second one must neither join it nor be overwritten by it.
    """

    def wait_for_result(holder: str) -> None:
        checkpoints.request_last()
        print(f"{name}: {holder}, is already training this; waiting for its result", flush=True)

    def wait_for_end(holder: str) -> None:
        print(f"{name}: {holder}, is training it here with other settings; waiting until it ends", flush=True)

    with hold_lock(checkpoints.folder.with_suffix(".lock"), wait_for_result):
        checkpoints.withdraw_request()
        with hold_lock(Path(f"weights/.{name}.lock"), wait_for_end):
            yield


def _require_agreement(
    name: str, start: Path, card: ModelCard, images: ImageSet, validation: ImageSet, statistics: Statistics
) -> None:
    require_agreement(
        [
            ("model", (start, card.model), (files.PARAMS, name)),
            ("classes", (start, card.classes), (files.TRAIN, images.classes)),
            ("image shape", (start, card.prepared), (files.TRAIN, images.shape)),
            ("mean", (start, card.mean), (files.STATISTICS, statistics.mean)),
            ("classes", (files.VALIDATION, validation.classes), (files.TRAIN, images.classes)),
            ("image shape", (files.VALIDATION, validation.shape), (files.TRAIN, images.shape)),
            *compare_statistics(files.STATISTICS, statistics, files.TRAIN, images),
        ]
    )


if __name__ == "__main__":
    run_together(train_model, "pipeline.train")
