"""GPU benchmarks in one call: training steps against the rate of matrix products, and the accuracy of the ladder.

The ladder trains on a folder or archive of images, such as CIFAR-10's. `--rehearse` runs a small version on any device.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.data import fix_batch_size, load_real_images
from benchmarks.measure import measure_matmul_rate, measure_median_seconds, report, show
from deepen.config.settings import Settings, load_settings
from deepen.data.augmentation import Augmentation
from deepen.data.images import ImageSet
from deepen.data.split import hold_out
from deepen.data.statistics import Statistics, compute_statistics
from deepen.evaluation.accuracy import evaluate
from deepen.growth.initialization import draw_he_weights, initialize_model
from deepen.growth.ladder import Plans, plan_ladder
from deepen.models.layers import count_training_flops
from deepen.models.tensors import State, to_arrays
from deepen.models.vgg import build_network
from deepen.runtime.device import autocast, choose_device, choose_dtype
from deepen.training.trainer import Trainer

CIFAR = 45_000  # training images, for the epochs that params.yaml gives a ladder on them
SECONDS = 480  # no further seed starts after this time, so that a call ends within ten minutes


@dataclass(frozen=True)
class Size:
    """The extent of the benchmarks: the ladder runs with the epochs of params.yaml, and then with `epochs`."""

    width: float = 1.0
    side: int = 8192  # of the matrices of the reference product
    epochs: dict[str, int] = field(default_factory=lambda: {"I": 24, "II": 24, "III": 40})
    seeds: int = 5


REHEARSAL_IMAGES = 600
REHEARSAL = Size(width=0.03125, side=128, epochs={"I": 1, "II": 1, "III": 1}, seeds=2)


@dataclass(frozen=True)
class Bench:
    """The inputs that all benchmarks share."""

    settings: Settings
    plans: Plans
    images: ImageSet
    test: ImageSet
    statistics: Statistics
    device: torch.device
    dtype: torch.dtype

    def make_trainer(
        self, model: str, net: nn.Module, recipe: str, *, epochs: int, seed: int = 0, replayed: bool = True
    ) -> Trainer:
        """Make a trainer for a model with a recipe of params.yaml."""
        settings = self.settings.model_copy(update={"recipe": recipe})
        return Trainer(
            net,
            self.images,
            self.statistics,
            Augmentation.of(settings.dataset, settings.training),
            fix_batch_size(settings.training),
            model=model,
            peak_lr=settings.peak_lr(model),
            epochs=epochs,
            seed=seed,
            device=self.device,
            dtype=self.dtype,
            replayed=replayed,
        )


def time_steps(bench: Bench, side: int) -> Iterator[dict[str, Any]]:
    """Time each model's step with each recipe: eager, replayed from a CUDA graph, and compiled as well."""
    peak = measure_matmul_rate(bench.dtype, str(bench.device), side)
    ways = ("eager", "graph", "compiled") if bench.device.type == "cuda" else ("eager",)
    for model in bench.plans:
        for recipe in ("published", "onecycle"):
            for way in ways:
                yield {"model": model, "recipe": recipe, "way": way, **_time_step(bench, model, recipe, way, peak)}


def _time_step(bench: Bench, model: str, recipe: str, way: str, peak: float) -> dict[str, float]:
    layers, dropout = bench.plans[model], bench.settings.recipes[recipe].training.dropout
    net = build_network(layers, draw_he_weights(layers, seed=0, model=model), dropout)
    trainer = bench.make_trainer(model, net, recipe, epochs=3, replayed=way != "eager")
    if way == "compiled":
        trainer.network.compile()
    epochs = iter((1, 2, 3))
    begin = time.perf_counter()
    trainer.run_epoch(next(epochs), lambda: None)
    first = time.perf_counter() - begin
    seconds = measure_median_seconds(lambda: trainer.run_epoch(next(epochs), lambda: None), calls=2, warm_up=0)
    step = seconds / trainer.steps_per_epoch
    rate = count_training_flops(layers) * trainer.batch_size / step
    return {
        "step (ms)": 1000 * step,
        "images/s": trainer.batch_size / step,
        "percent of matmul": 100 * rate / peak,
        "start (s)": first - seconds,  # initialization of libraries, graph capture, compiling
    }


def time_first_convolution(bench: Bench, batch: int = 128) -> Iterator[dict[str, Any]]:
    """Time forward and backward of the first convolution, with and without padding its three input channels."""
    layer = next(layer for layer in bench.plans["I"] if layer.kind == "conv")
    _, height, width = layer.inputs
    for channels in (3, 4, 8):
        conv = nn.Conv2d(channels, layer.outputs[0], layer.kernel, padding=layer.kernel // 2, device=bench.device)
        conv.to(memory_format=torch.channels_last)
        x = torch.randn(batch, channels, height, width, device=bench.device).to(memory_format=torch.channels_last)

        def run(conv: nn.Module = conv, x: Tensor = x) -> None:
            with autocast(bench.device, bench.dtype):
                conv(x).sum().backward()
            if bench.device.type == "cuda":
                torch.cuda.synchronize()

        yield {"input channels": channels, "ms": 1000 * measure_median_seconds(run, calls=20, warm_up=5)}


def train_ladder(bench: Bench, epochs: dict[str, int], seed: int) -> Iterator[dict[str, Any]]:
    """Train the ladder with the default recipe; test top-1 is with flip averaging."""
    settings = bench.settings.model_copy(update={"seed": seed})
    state: State = {}
    for model, layers in bench.plans.items():
        state, _ = initialize_model(
            settings, model, bench.plans, state, draw_he_weights(layers, seed=seed, model=model)
        )
        net = build_network(layers, state, settings.training.dropout)
        begin = time.perf_counter()
        trainer = bench.make_trainer(model, net, settings.recipe, epochs=epochs[model], seed=seed)
        for epoch in range(1, trainer.epochs + 1):
            trainer.run_epoch(epoch, lambda: None)
        seconds = time.perf_counter() - begin
        evaluation = evaluate(net, bench.test, trainer.mean, flip_averaging=True, batch_size=500, dtype=bench.dtype)
        state = to_arrays(net.state_dict())
        yield {"seed": seed, "model": model, "epochs": epochs[model], "seconds": seconds, "top1": evaluation.percent(1)}


def prepare(settings: Settings, size: Size, images: ImageSet, test: ImageSet, device: torch.device) -> Bench:
    """Plan the ladder for images, with the settings of data set `folder`."""
    settings = settings.model_copy(update={"width": size.width, "data": "folder"})
    plans = plan_ladder(settings, images.shape, len(images.classes))
    dtype = choose_dtype("auto", device)
    return Bench(settings, plans, images, test, compute_statistics(images.images), device, dtype)


def measure(bench: Bench, size: Size) -> dict[str, list[dict[str, Any]]]:
    """Run all benchmarks; return their tables by name."""
    begin = time.perf_counter()
    usual = {name: bench.settings.epochs(name, CIFAR) for name in bench.settings.models}
    tables = {
        "steps": list(time_steps(bench, size.side)),
        "first convolution": list(time_first_convolution(bench)),
        "the ladder, epochs of params.yaml": list(train_ladder(bench, usual, 0)),
        "the ladder, more epochs": [],
    }
    for seed in range(size.seeds):
        if time.perf_counter() - begin < SECONDS:
            tables["the ladder, more epochs"] += train_ladder(bench, size.epochs, seed)
    return tables


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, help="folder or archive with train/<class>/* and test/<class>/*")
    parser.add_argument("--rehearse", action="store_true", help="run small versions on any device and write nothing")
    arguments = parser.parse_args()
    size, settings = (REHEARSAL if arguments.rehearse else Size()), load_settings()
    device = choose_device("auto" if arguments.rehearse else "cuda", settings.cpu_threads)
    images, test = load_real_images(arguments.images.resolve())
    if arguments.rehearse:
        images, _ = hold_out(images, 1 - REHEARSAL_IMAGES / len(images), "rehearsal")
    tables = measure(prepare(settings, size, images, test, device), size)
    step_rows = tables.pop("steps")
    for name, rows in tables.items():
        show(rows, name)
    if arguments.rehearse:
        show(step_rows, "steps")
    else:
        report("gpu", step_rows, width=size.width, images=len(images), matmul=size.side, **tables)


if __name__ == "__main__":
    main()
