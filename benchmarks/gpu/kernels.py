"""Kernels of a training step on a card, counted and timed by PyTorch's profiler."""

from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.bench import Bench, outermost
from benchmarks.gpu.sections import Row, measure_row

_STEPS = 40  # of an epoch; the graph exists in the second
_FIRST, _LAST = 5, 25  # steps of the second epoch after which the profiler starts and stops
_MOST = 15  # kernels to list
Totals = dict[str, tuple[int, float]]  # by name: calls, microseconds


def count_kernels(bench: Bench) -> Iterator[Row]:
    """Count the kernels and copies of a step of the first and the last model, eager and replayed."""
    for model in outermost(bench.plans):
        for recipe in bench.settings.recipes:
            for way in bench.ways:
                row = {"model": model, "recipe": recipe, "way": way}
                yield measure_row(row, partial(_count, bench, model, recipe, way))


def list_kernels(bench: Bench) -> Iterator[Row]:
    """List the kernels that take the most time of a replayed step of the first and the last model."""
    for model in outermost(bench.plans):
        found: list[Row] = []
        row = measure_row({"model": model}, partial(_list, bench, model, found))
        yield from ({"model": model} | kernel for kernel in found) if found else [row]


def _count(bench: Bench, model: str, recipe: str, way: str) -> Row:
    return _summarize(*profile_steps(bench, model, recipe, way))


def _list(bench: Bench, model: str, found: list[Row]) -> Row:
    """Add to `found` a row for each of the longest kernels."""
    steps, totals = profile_steps(bench, model, bench.settings.recipe, bench.ways[-1])
    for name, (calls, time) in sorted(totals.items(), key=lambda item: -item[1][1])[:_MOST]:
        found.append({"calls": calls / steps, "us": time / steps, "kernel": _shorten(name)})
    return {}


def profile_steps(bench: Bench, model: str, recipe: str, way: str) -> tuple[int, Totals]:
    """Profile the middle steps of an epoch; return their number, and calls and time by kernel."""
    trainer = bench.start(model, recipe, epochs=2, steps=_STEPS, replayed=way == "graph")
    trainer.run_epoch(1, lambda: None)
    last = min(_LAST, trainer.steps_per_epoch)
    first = min(_FIRST, last - 1)
    on_cuda = trainer.device.type == "cuda"
    profiler = profile(activities=[ProfilerActivity.CUDA if on_cuda else ProfilerActivity.CPU])

    def after_step() -> None:
        done = trainer.step - trainer.steps_per_epoch
        if done in (first, last):
            if on_cuda:
                torch.cuda.synchronize()
            if done == first:
                profiler.start()
            else:
                profiler.stop()

    trainer.run_epoch(2, after_step)
    return last - first, _total(profiler, DeviceType.CUDA if on_cuda else DeviceType.CPU)


def _total(profiler: Any, device: DeviceType) -> Totals:
    totals: dict[str, tuple[int, float]] = defaultdict(lambda: (0, 0.0))
    for event in profiler.events():
        if event.device_type == device:
            calls, time = totals[event.name]
            totals[event.name] = calls + 1, time + event.time_range.elapsed_us()
    return dict(totals)


def _summarize(steps: int, totals: Totals) -> Row:
    kinds = {"kernels": 0, "copies": 0, "memsets": 0}
    for name, (calls, _) in totals.items():
        kinds["copies" if "Memcpy" in name else "memsets" if "Memset" in name else "kernels"] += calls
    time = sum(time for _, time in totals.values())
    return {kind: calls / steps for kind, calls in kinds.items()} | {"on the device (ms)": time / steps / 1000}


def _shorten(name: str, most: int = 110) -> str:
    """Shorten a C++ name to one that fits in a table."""
    for word in ("void ", "at::native::", "(anonymous namespace)::", "|"):
        name = name.replace(word, "")
    return name if len(name) <= most else f"{name[: most - 3]}..."
