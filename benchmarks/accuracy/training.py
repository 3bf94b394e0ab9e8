"""Train an arm for a budget of FLOPs, and score it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import torch

from benchmarks.accuracy.arms import Arm
from benchmarks.peer.network import IMAGE
from benchmarks.peer.training import PeerTrainer, count_whitening_flops, plan_training
from benchmarks.peer.views import evaluate_peer
from deepen.config.settings import Settings
from deepen.core.errors import InputError
from deepen.data.images import ImageSet
from deepen.data.patches import SIDE, select_images
from deepen.data.statistics import compute_statistics
from deepen.evaluation.accuracy import evaluate
from deepen.evaluation.views import Views
from deepen.growth.initialization import draw_fresh_weights, initialize_model
from deepen.growth.ladder import plan_ladder
from deepen.models.layers import count_training_flops
from deepen.models.tensors import State, to_arrays
from deepen.models.vgg import build_network
from deepen.runtime.device import choose_dtype
from deepen.training.from_settings import make_trainer
from deepen.training.trainer import Trainer

_TOLERANCE = 0.01  # by which an arm may miss its budget, since it takes whole steps


@dataclass(frozen=True)
class Result:
    """What a training cost and reached: FLOPs with all rungs and statistics, seconds, epochs, top-1 (percent).

    Seconds are the CPU time of all threads (user and system), which other programs hardly change; on CUDA elapsed time.
    """

    flops: float
    seconds: float
    epochs: dict[str, float]
    single: float
    averaged: float


Score = Callable[[], tuple[float, float]]  # top-1 (percent) from one view and from averaged views


def train_arm(arm: Arm, budget: float, seed: int, images: ImageSet, test: ImageSet, device: torch.device) -> Result:
    """Train an arm for a budget (PFLOP), and score it on `test`; raises InputError."""
    train = _train_peer if arm.peer else _train_ladder
    read_clock = time.perf_counter if device.type == "cuda" else time.process_time
    begin = read_clock()
    flops, epochs, score = train(arm, budget, seed, images, test, device)
    if device.type == "cuda":
        torch.cuda.synchronize()
    seconds = read_clock() - begin
    if abs(flops / (budget * 1e15) - 1) > _TOLERANCE:
        raise InputError(
            f"whole steps take {flops / 1e15:.3g} PFLOP, and the budget is {budget:g}; raise it or make batches smaller"
        )
    return Result(flops, seconds, epochs, *score())


def count_statistics_flops(images: ImageSet) -> int:
    """Return the FLOPs of the sums and products of channels over all pixels, and of the values of patches."""
    channels, *sides = images.shape
    patches = len(select_images(images.images)) * prod(side - SIDE + 1 for side in sides)
    return count_pixel_flops(images) + patches * _count_moments(channels * SIDE**2)


def count_pixel_flops(images: ImageSet) -> int:
    """Return the FLOPs of the sums and products of channels over all pixels."""
    return len(images) * prod(images.shape[1:]) * _count_moments(images.shape[0])


def _count_moments(values: int) -> int:
    """Return the FLOPs of adding values, and the product of each pair of them, to sums."""
    return values + values * (values + 1)


def _train_peer(
    arm: Arm, budget: float, seed: int, images: ImageSet, test: ImageSet, device: torch.device
) -> tuple[float, dict[str, float], Score]:
    if images.shape != IMAGE:
        raise InputError(f"the peer takes images of 3x32x32, got {'x'.join(map(str, images.shape))}; leave it out")
    recipe, width, dtype = arm.load_recipe(budget), arm.get_width(budget) or 1.0, choose_dtype(arm.precision, device)
    before = count_pixel_flops(images) + count_whitening_flops(len(images))
    left = budget * 1e15 - before
    plan = plan_training(recipe, width=width, classes=len(images.classes), images=len(images), budget=left)
    statistics = compute_statistics(images.images)
    trainer = PeerTrainer(images, statistics, recipe, plan, width=width, seed=seed, device=device, dtype=dtype)
    trainer.train()
    epochs = {"peer": plan.steps / (len(images) // recipe.batch_size)}
    return before + plan.flops, epochs, lambda: evaluate_peer(trainer.network, test, trainer.normalize, device, dtype)


def _train_ladder(
    arm: Arm, budget: float, seed: int, images: ImageSet, test: ImageSet, device: torch.device
) -> tuple[float, dict[str, float], Score]:
    settings = arm.load_settings(budget, seed)
    plans = plan_ladder(settings, settings.view_shape(images.shape), len(images.classes))
    flops_per_step = {
        name: settings.batch_size(len(images)) * count_training_flops(layers) for name, layers in plans.items()
    }
    spent: float = count_statistics_flops(images)
    usual = sum(settings.steps(name, len(images)) * flops for name, flops in flops_per_step.items())
    factor = (budget * 1e15 - spent) / usual
    statistics, state, epochs = compute_statistics(images.images), State(), {}
    for name, layers in plans.items():
        fresh = draw_fresh_weights(layers, statistics.patch_covariance, seed=seed, model=name)
        state, _ = initialize_model(settings, name, plans, state, fresh)
        network = build_network(layers, state, settings.training.dropout)
        epochs_of_model = factor * settings.epochs(name, len(images))
        trainer = make_trainer(settings, name, network, images, statistics, device, epochs=epochs_of_model)
        for epoch in range(1, trainer.epochs + 1):
            trainer.run_epoch(epoch, lambda: None)
        spent += trainer.steps * flops_per_step[name]
        epochs[name] = trainer.steps / trainer.steps_per_epoch
        state = to_arrays(trainer.network.state_dict())
    return spent, epochs, lambda: _score(trainer, settings, test)


def _score(trainer: Trainer, settings: Settings, test: ImageSet) -> tuple[float, float]:
    """Return top-1 (percent) from one view and from the views of the recipe's evaluation."""
    found = evaluate(
        trainer.network,
        test,
        trainer.mean,
        flip_averaging=settings.evaluation.flip_averaging and settings.dataset.flip,
        batch_size=settings.evaluation.batch_size,
        dtype=trainer.dtype,
        views=Views(settings.evaluation.views, trainer.views.size),
    )
    return found.percent_single(1), found.percent(1)
