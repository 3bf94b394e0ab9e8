"""Speed and memory of training steps on a card."""

import time
from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import nn

from benchmarks.data import BATCH
from benchmarks.gpu.bench import Bench, free_memory, outermost
from benchmarks.gpu.sections import Row, measure_row
from benchmarks.measure import measure_matmul_rate, measure_median_seconds
from deepen.core.errors import is_out_of_memory
from deepen.models.layers import Layer, count_training_flops
from deepen.runtime.device import autocast
from deepen.training.trainer import Trainer

_EPOCHS = 3  # whose time is taken; one more before them initializes libraries, and captures or compiles


def time_steps(bench: Bench) -> Iterator[Row]:
    """Time each model's step with each recipe, eager and replayed from a CUDA graph."""
    _, peak = measure_peak(bench, bench.dtype)
    for model in bench.plans:
        for recipe in bench.settings.recipes:
            for way in bench.ways:
                row = {"model": model, "recipe": recipe, "way": way}
                yield measure_row(row, partial(time_step, bench, model, recipe, peak, way=way))


def time_compiled_steps(bench: Bench) -> Iterator[Row]:
    """Time each model's step with the default recipe, compiled and in a CUDA graph; the deepest model first."""
    _, peak = measure_peak(bench, bench.dtype)
    for model in reversed(list(bench.plans)):
        recipe = bench.settings.recipe
        row = {"model": model, "recipe": recipe, "way": "compiled graph"}
        yield measure_row(row, partial(time_step, bench, model, recipe, peak, way="compiled"))


def time_batches(bench: Bench) -> Iterator[Row]:
    """Time the step of the first and the last model with larger batches, at most of all images."""
    _, peak = measure_peak(bench, bench.dtype)
    recipe = bench.settings.recipe
    for model in outermost(bench.plans):
        for batch in sorted({min(batch, len(bench.images)) for batch in bench.size.batches}):
            row = {"model": model, "recipe": recipe, "batch": batch}
            yield measure_row(row, partial(time_step, bench, model, recipe, peak, batch=batch))


def time_step(bench: Bench, model: str, recipe: str, peak: float, *, way: str = "graph", batch: int = BATCH) -> Row:
    """Return the time of a step, its share of the `peak` rate (operations per second), and the memory it takes."""
    trainer = bench.start(model, recipe, epochs=1 + _EPOCHS, batch=batch, replayed=way != "eager")
    if way == "compiled":
        trainer.network.compile()
    epochs = iter(range(1, 2 + _EPOCHS))
    begin = time.perf_counter()
    trainer.run_epoch(next(epochs), do_nothing)
    first = time.perf_counter() - begin
    seconds = measure_median_seconds(lambda: trainer.run_epoch(next(epochs), do_nothing), calls=_EPOCHS, warm_up=0)
    step = seconds / trainer.steps_per_epoch
    rate = count_training_flops(bench.plans[model]) * trainer.batch_size / step
    return {
        "step (ms)": 1000 * step,
        "images/s": trainer.batch_size / step,
        "percent of matmul": 100 * rate / peak,
        "start (s)": first - seconds,  # initialization of libraries, graph capture, compiling
        **measure_memory(trainer),
        **({"note": warning} if (warning := trainer.take_warning()) else {}),
    }


def measure_memory(trainer: Trainer) -> dict[str, float]:
    """Return the peak memory since `free_memory`, with the resident images."""
    if trainer.device.type != "cuda":
        return {}
    allocated, reserved = torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()
    return {"allocated (MiB)": allocated // 2**20, "reserved (MiB)": reserved // 2**20}


def time_first_convolution(bench: Bench) -> Iterator[Row]:
    """Time forward and backward of the first convolution, with and without padding its three input channels."""
    layer = next(layer for layer in next(iter(bench.plans.values())) if layer.kind == "conv")
    free_memory()
    for channels in (3, 4, 8):
        yield measure_row({"input channels": channels}, partial(_time_convolution, bench, layer, channels))


def _time_convolution(bench: Bench, layer: Layer, channels: int) -> Row:
    """Time a forward and backward pass of a layer with so many channels, as many at once as an epoch has steps."""
    _, height, width = layer.inputs
    conv = nn.Conv2d(channels, layer.outputs[0], layer.kernel, padding=layer.padding, device=bench.device)
    conv.to(memory_format=torch.channels_last)
    x = torch.randn(BATCH, channels, height, width, device=bench.device).to(memory_format=torch.channels_last)
    repeats = bench.size.steps

    def run() -> None:
        for _ in range(repeats):
            with autocast(bench.device, bench.dtype):
                conv(x).sum().backward()
        if bench.device.type == "cuda":
            torch.cuda.synchronize()

    return {"ms": 1000 * measure_median_seconds(run, calls=5, warm_up=1) / repeats}


def measure_reference(bench: Bench) -> Iterator[Row]:
    """Measure the rate of matrix products, to which the steps are compared."""
    types: Sequence[torch.dtype] = (torch.bfloat16, torch.float32)
    for dtype in types:
        side, rate = measure_peak(bench, dtype)
        yield {"dtype": str(dtype).removeprefix("torch."), "side": side, "TFLOP/s": rate / 1e12}


def measure_peak(bench: Bench, dtype: torch.dtype) -> tuple[int, float]:
    """Return the side of the largest matrices, halved until they fit, and the rate of their product (operations/s)."""
    side = bench.size.side
    while True:
        try:
            return side, measure_matmul_rate(dtype, str(bench.device), side)
        except RuntimeError as error:
            if side < 128 or not is_out_of_memory(error):
                raise
        side //= 2


def do_nothing() -> None:
    pass
