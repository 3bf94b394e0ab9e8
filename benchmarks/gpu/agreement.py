"""Whether trainings that must agree do, bit for bit, on a card."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from benchmarks.gpu.bench import Bench, outermost
from benchmarks.gpu.sections import Row, SectionFailed, measure_row
from deepen.data import prefetch
from deepen.training.trainer import Trainer

State = dict[str, Tensor]
Train = Callable[[Bench, str, str], State]
_EPOCHS, _STEPS = 2, 20  # and steps of an epoch


def compare_trainings(bench: Bench) -> Iterator[Row]:
    """Compare a replayed training with one that repeats it, is eager, is resumed, or reads mapped images.

    Raises SectionFailed, after all of them, if one differs in a bit.
    """
    others: dict[str, Train] = {
        "repeated": train_whole,
        "eager": train_eagerly,
        "resumed": train_resumed,
        "mapped images": train_mapped,
    }
    different = []
    for model in outermost(bench.plans):
        for recipe in bench.settings.recipes:
            first: State = {}
            row = measure_row({"model": model, "recipe": recipe}, partial(_train_first, bench, model, recipe, first))
            if "fault" in row:
                yield row
                continue
            for name, train in others.items():
                compared = partial(_compare_to, first, train, bench, model, recipe)
                yield (other := measure_row(row | {"replayed, and": name}, compared))
                different += [] if other.get("equal", True) else [f"{model} {recipe} {name}"]
    if different:
        raise SectionFailed(f"not equal bit for bit: {', '.join(different)}")


def _train_first(bench: Bench, model: str, recipe: str, first: State) -> Row:
    first |= train_whole(bench, model, recipe)
    return {}


def _compare_to(first: State, train: Train, bench: Bench, model: str, recipe: str) -> Row:
    return compare(first, train(bench, model, recipe))


def compare(one: State, other: State) -> Row:
    """Compare the tensors of two states by name: whether all are equal, and their largest difference."""
    equal = one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
    differences = [(one[key].double() - other[key].double()).abs().max().item() for key in one if one[key].numel()]
    return {"equal": equal, "largest difference": max(differences)}


def train_whole(bench: Bench, model: str, recipe: str, replayed: bool = True) -> State:
    """Train without interruption; return the final state."""
    return _finish(bench.start(model, recipe, epochs=_EPOCHS, steps=_STEPS, replayed=replayed))


def train_eagerly(bench: Bench, model: str, recipe: str) -> State:
    """Train without a CUDA graph."""
    return train_whole(bench, model, recipe, replayed=False)


def train_mapped(bench: Bench, model: str, recipe: str) -> State:
    """Train on images that stay in their map."""
    share, prefetch.RESIDENT_SHARE = prefetch.RESIDENT_SHARE, 0
    try:
        return train_whole(bench, model, recipe)
    finally:
        prefetch.RESIDENT_SHARE = share


class _Stop(Exception):
    pass


def train_resumed(bench: Bench, model: str, recipe: str) -> State:
    """Train to the middle of the second epoch, and go on from there with another trainer."""
    begun = bench.start(model, recipe, epochs=_EPOCHS, steps=_STEPS)
    middle = begun.steps_per_epoch + begun.steps_per_epoch // 2

    def stop() -> None:
        if begun.step == middle:
            raise _Stop

    try:
        _finish(begun, stop)
    except _Stop:
        saved = _copy(begun)
    resumed = bench.start(model, recipe, epochs=_EPOCHS, steps=_STEPS)
    resumed.restore(middle, saved)
    return _finish(resumed, first=2)


def _finish(trainer: Trainer, after_step: Callable[[], object] = lambda: None, first: int = 1) -> State:
    for epoch in range(first, _EPOCHS + 1):
        trainer.run_epoch(epoch, after_step)
    return _copy(trainer)


def _copy(trainer: Trainer) -> State:
    """Copy the state to the CPU, as a checkpoint does."""
    return {key: tensor.detach().cpu().clone() for key, tensor in trainer.get_state().items()}
