"""Stage of the studies: train one arm with one seed, each of its models for its share of the compute."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deepen.config.dataset_settings import Augmented
from deepen.config.settings import Settings, load_settings
from deepen.core.checksums import write_checked_json
from deepen.core.seeding import derive_seed
from deepen.data.augmentation import Augmentation
from deepen.data.images import ImageSet, load_images
from deepen.data.split import hold_out
from deepen.data.statistics import Statistics, compute_statistics
from deepen.evaluation.accuracy import Evaluation, evaluate
from deepen.growth.initialization import draw_fresh_weights, initialize_model
from deepen.growth.ladder import Plans, plan_ladder
from deepen.growth.whitening import compute_whitening
from deepen.models.layers import count_training_flops
from deepen.models.tensors import State, to_arrays
from deepen.models.vgg import VGG, build_network
from deepen.runtime.device import choose_device, choose_dtype
from deepen.training.trainer import Trainer
from pipeline.shared.agreement import require_agreement
from pipeline.shared.stage import require_unchanged, run
from study.settings import Arm, Study, load_studies


@dataclass(frozen=True)
class Point:
    """Test top-1 (percent, one view, the curve's images) of `model` once the arm has spent so many FLOPs."""

    model: str
    flops: float
    top1: float


def train_arm(study_name: str, name: str, seed: str) -> None:
    settings = load_settings()
    studies = load_studies(settings)
    settings = settings.model_copy(update={"data": studies.data})  # `auto` must follow the studies' data set
    study, dataset = studies[study_name], settings.dataset
    files = [Path(f"study/data/{part}.safetensors") for part in ("train", "test")]
    images, test = map(load_images, files)
    require_agreement(
        [
            ("classes", (files[1], test.classes), (files[0], images.classes)),
            ("image shape", (files[1], test.shape), (files[0], images.shape)),
        ]
    )
    if study.images < len(images):
        images, _ = hold_out(images, 1 - study.images / len(images), "the study")
    result = measure(study.arms[name], int(seed), settings, study, dataset, images, test)
    require_unchanged()
    write_checked_json(Path(f"study/runs/{study_name}/{name}-{seed}.json"), {"arm": name, "seed": int(seed), **result})
    print(f"{name}, seed {seed}: top-1 {result['top1']:.2f} %")


def measure(
    arm: Arm, seed: int, settings: Settings, study: Study, dataset: Augmented, images: ImageSet, test: ImageSet
) -> dict[str, Any]:
    """Train an arm; return its target, FLOPs, curve, top-1 (percent, all test images, flip averaging) and loss."""
    changes: dict[str, object] = {"norm": arm.norm, "frozen": []}
    models = {name: model.model_copy(update=changes) for name, model in settings.models.items()}
    settings = settings.model_copy(update={"width": study.width, "growth": arm.growth, "models": models})
    training = arm.training(settings)
    plans = plan_ladder(settings, dataset.view_shape(images.shape), len(images.classes))
    budget = study.compute[arm.target] * count_training_flops(plans[arm.target])  # FLOPs per training image
    device = choose_device(settings.device, settings.cpu_threads)
    statistics = compute_statistics(images.images)
    augmentation = Augmentation.of(dataset, training)
    few = test.select(np.arange(0, len(test), max(1, len(test) // study.curve_images)))
    state: State = {}
    curve: list[Point] = []
    for model, share in _list_models(arm, settings):
        peak_lr = training.lr * (training.grown_lr if state else 1.0)
        state = _make_start(arm, model, state, settings, plans, statistics, seed)
        flops = count_training_flops(plans[model])
        trainer = Trainer(
            build_network(plans[model], state, training.dropout),
            images,
            statistics,
            augmentation,
            training,
            model=model,
            peak_lr=peak_lr,
            epochs=share * budget / flops,
            seed=seed,
            device=device,
            dtype=choose_dtype(settings.precision, device),
        )
        curve += _train_model(trainer, model, flops, curve[-1].flops if curve else 0, few)
        state = to_arrays(trainer.network.state_dict())
    evaluation = _evaluate(trainer, test, flips=dataset.flip)
    return {"target": arm.target, "top1": evaluation.percent(1), "loss": evaluation.loss} | _summarize(curve)


def _summarize(curve: list[Point]) -> dict[str, Any]:
    return {"flops": curve[-1].flops, "curve": [vars(point) for point in curve]}


def _train_model(trainer: Trainer, model: str, flops: int, spent: float, test: ImageSet) -> list[Point]:
    """Train to the end at `flops` per image; return one point per epoch, its FLOPs added to those already `spent`."""
    points = []
    for epoch in range(1, trainer.epochs + 1):
        trainer.run_epoch(epoch, lambda: None)
        seen = min(epoch * trainer.steps_per_epoch, trainer.steps) * trainer.batch_size
        points.append(Point(model, spent + seen * flops, _evaluate(trainer, test, flips=False).percent(1)))
    return points


def _list_models(arm: Arm, settings: Settings) -> list[tuple[str, float]]:
    """List the models that an arm trains, shallowest first, with their shares of the compute."""
    before = settings.ancestors(arm.target) if arm.shares else []
    return [*((model, arm.shares[model]) for model in before), (arm.target, 1 - sum(arm.shares.values()))]


def _make_start(
    arm: Arm, model: str, source: State, settings: Settings, plans: Plans, statistics: Statistics, seed: int
) -> State:
    """Make a model's initial weights: grown from `source`, or random if that is empty."""
    fresh = draw_fresh_weights(plans[model], statistics.patch_covariance, seed=seed, model=model)
    if arm.start == "pytorch":
        torch.manual_seed(derive_seed(seed, model, "start"))
        fresh = to_arrays(VGG(plans[model]).state_dict()) | compute_whitening(plans[model], statistics.patch_covariance)
    return initialize_model(settings, model, plans, source, fresh)[0] if source else fresh


def _evaluate(trainer: Trainer, test: ImageSet, *, flips: bool) -> Evaluation:
    return evaluate(
        trainer.network,
        test,
        trainer.mean,
        flip_averaging=flips,
        batch_size=500,
        dtype=trainer.dtype,
        views=trainer.views,
    )


if __name__ == "__main__":
    run(train_arm)
