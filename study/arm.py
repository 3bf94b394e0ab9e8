"""One arm with one seed: its models one after the other, each for its share of the compute, and what they reach."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deepen.accuracy import evaluate
from deepen.augmentation import Augmentation
from deepen.device import choose_device, choose_dtype
from deepen.growth import grow, he_start
from deepen.images import ImageSet, load_images
from deepen.ladder import plan_ladder, role_mapping
from deepen.layers import Layer, training_flops
from deepen.randomness import derive
from deepen.settings import Settings, load_settings
from deepen.statistics import compute_statistics
from deepen.training import Trainer
from deepen.transfer import transfer
from deepen.vgg import VGG, network
from deepen.writing import write_json
from pipeline import run
from study.settings import Arm, Study, ancestors, load_study


@dataclass(frozen=True)
class Point:
    """Test top-1 (percent, one view, the curve's images) of `model` once the arm has spent so many FLOPs."""

    model: str
    flops: float
    top1: float


def train_arm(name: str, seed: str) -> None:
    settings = load_settings()
    study = load_study(settings)
    images, test = (load_images(Path(f"study/data/{part}.safetensors")) for part in ("train", "test"))
    found = measure(study.arms[name], int(seed), settings, study, images, test)
    write_json(Path(f"study/runs/{name}-{seed}.json"), {"arm": name, "seed": int(seed), **found})
    print(f"{name}, seed {seed}: top-1 {found['top1']:.2f} %")


def measure(arm: Arm, seed: int, settings: Settings, study: Study, images: ImageSet, test: ImageSet) -> dict[str, Any]:
    """Train an arm; returns target, FLOPs, curve and top-1 (percent, all test images, flips averaged)."""
    settings = settings.model_copy(update={"width": study.width, "growth": arm.growth, "recipe": arm.recipe})
    shape = images.images.shape
    plans = plan_ladder(settings, (shape[1], shape[2], shape[3]), len(images.classes))
    budget = study.compute[arm.target] * len(images) * training_flops(plans[arm.target])
    device = choose_device(settings.device, settings.threads)
    statistics = compute_statistics(images.images)
    dataset = settings.datasets[study.data]
    augmentation = Augmentation(
        dataset.flip, dataset.crop if settings.training.crop else 0.0, settings.training.color_shift
    )
    tests = [torch.from_numpy(array).to(device) for array in (test.images, test.labels)]
    few = [tensor[:: max(1, len(test) // study.curve_images)] for tensor in tests]
    state: dict[str, Tensor] = {}
    spent, curve = 0.0, []
    for model, share in _models(arm, settings):
        grown = bool(state)
        state = _start(arm, model, state, settings, plans, seed)
        flops = len(images) * training_flops(plans[model])
        trainer = Trainer(
            network(plans[model], state, settings.training.dropout),
            images,
            statistics,
            augmentation,
            settings.training,
            model=model,
            peak_lr=settings.training.lr * (settings.training.grown_lr if grown else 1.0),
            epochs=share * budget / flops,
            seed=seed,
            device=device,
            dtype=choose_dtype(settings.precision, device),
        )
        for epoch in range(1, trainer.epochs + 1):
            trainer.epoch(epoch, lambda: None)
            steps = min(epoch * trainer.steps_an_epoch, trainer.steps)
            used = spent + steps * trainer.batch_size * training_flops(plans[model])
            curve.append(Point(model, used, _evaluated(trainer, few, flips=False)))
        spent = curve[-1].flops
        state = dict(trainer.network.state_dict())
    return {
        "target": arm.target,
        "top1": _evaluated(trainer, tests, flips=dataset.flip),
        "flops": spent,
        "curve": [vars(point) for point in curve],
    }


def _models(arm: Arm, settings: Settings) -> list[tuple[str, float]]:
    """The models an arm trains, shallowest first, and their shares of the compute."""
    before = ancestors(arm.target, settings) if arm.shares else []
    return [*((model, arm.shares[model]) for model in before), (arm.target, 1 - sum(arm.shares.values()))]


def _start(
    arm: Arm, model: str, source: dict[str, Tensor], settings: Settings, plans: dict[str, tuple[Layer, ...]], seed: int
) -> dict[str, Tensor]:
    """What a model starts from: grown from `source`, or random where that is empty."""
    fresh = he_start(plans[model], seed=seed, model=model)
    if arm.start == "pytorch":
        torch.manual_seed(derive(seed, model, "start"))
        fresh = {key: tensor.detach() for key, tensor in VGG(plans[model]).state_dict().items()}
    if not source:
        return fresh
    mapping = role_mapping(settings, model, plans)
    state, _ = transfer(source, fresh, mapping)
    return grow(state, plans[model], mapping.fresh, arm.growth)[0]


def _evaluated(trainer: Trainer, tests: list[Tensor], *, flips: bool) -> float:
    found = evaluate(
        trainer.network, tests[0], tests[1], trainer.mean, flip_averaging=flips, batch_size=500, dtype=trainer.dtype
    )
    return found.percent(1)


if __name__ == "__main__":
    run(train_arm)
