"""Estimate how long a ladder trains on this machine, from operations and the rate of a matrix product."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch

from deepen.config.settings import Settings
from deepen.datasets.parts import Part
from deepen.growth.ladder import plan_ladder
from deepen.models.layers import Layer, count_forward_flops, count_training_flops
from deepen.runtime.device import choose_device, choose_dtype

_SHARE = {"cpu": 0.7}  # of the rate of a matrix product that training reaches; measured: docs/estimates.md
_OTHER_SHARE = 0.25  # on GPUs
_LEAST_STEP = 0.002  # seconds that launching a step takes
_STAGE = 2.0  # seconds that a stage takes to start
_PIXELS = 3e7  # per second that are decoded
_SIDE = {"cpu": 1024}  # of the matrices that are multiplied
_OTHER_SIDE = 8192


@dataclass(frozen=True)
class Estimate:
    """The estimated seconds of a run, and the device and epochs of the models."""

    seconds: float
    device: str
    epochs: Mapping[str, int]


def estimate_run(
    settings: Settings, image: tuple[int, int, int], classes: int, parts: Mapping[Part, int], pixels: float
) -> Estimate:
    """Estimate a run of all stages for images of this shape, so many in each part, from files of so many `pixels`."""
    device = choose_device(settings.device, settings.cpu_threads)
    dtype = choose_dtype(settings.precision, device)
    rate = measure_rate(device, dtype) * _SHARE.get(device.type, _OTHER_SHARE)
    plans = plan_ladder(settings, settings.view_shape(image), classes)
    epochs = {name: settings.epochs(name, parts["train"]) for name in settings.models}
    trained = sum(_count_seconds(settings, name, plans[name], parts, rate) for name in settings.models)
    stages = _STAGE * (6 + 3 * len(settings.models))
    return Estimate(stages + pixels / _PIXELS + trained, device.type, epochs)


def measure_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Return the operations per second of a matrix product: the best of five."""
    side = _SIDE.get(device.type, _OTHER_SIDE)
    matrix = torch.ones(side, side, device=device, dtype=dtype)
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        torch.mm(matrix, matrix)[0, 0].item()  # which waits for a GPU
        seconds.append(time.perf_counter() - start)
    return 2 * side**3 / min(seconds[1:])


def _count_seconds(
    settings: Settings, name: str, layers: Sequence[Layer], parts: Mapping[Part, int], rate: float
) -> float:
    """Return the estimated seconds of training a model, of its validation after each epoch, and of its test."""
    batch = settings.batch_size(parts["train"])
    step = batch * count_training_flops(layers) + _count_optimizer_flops(settings, layers)
    views = 2 if settings.dataset.flip and settings.evaluation.flip_averaging else 1
    looked_at = parts["validation"] * settings.epochs(name, parts["train"]) + views * parts["test"]
    steps = settings.steps(name, parts["train"])
    return steps * max(step / rate, _LEAST_STEP) + looked_at * count_forward_flops(layers) / rate


def _count_optimizer_flops(settings: Settings, layers: Sequence[Layer]) -> int:
    """Return the operations of Muon's Newton-Schulz steps on the Gram matrices of all weights; 0 of SGD."""
    if settings.training.optimizer.name != "muon":
        return 0
    flops = 0
    for layer in layers:
        if layer.learns and (shape := layer.tensors().get(f"{layer.role}.weight")) and layer.kind != "norm":
            rows, columns = sorted((shape[0], prod(shape[1:])))
            flops += 4 * rows**2 * columns + 34 * rows**3
    return flops
