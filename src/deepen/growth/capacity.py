"""Whether the networks of a ladder can be trained on a device, before memory is taken for any of them."""

from collections.abc import Sequence
from itertools import dropwhile
from math import prod

from deepen.config.settings import Settings
from deepen.core.counts import counted
from deepen.core.errors import InputError
from deepen.growth.ladder import Plans
from deepen.models.layers import Layer, freeze, parameters, plan

_BYTES_A_PARAMETER = 4  # float32
_COPIES = 3  # of a parameter that learns: itself, its gradient and its momentum
_BYTES_AN_ACTIVATION = 2  # at least: bfloat16


def training_bytes(layers: Sequence[Layer], batch: int) -> int:
    """The least memory (bytes) that a step on a `batch` of so many images takes: parameters and activations.

    Activations before the first layer that learns are not kept.
    """
    learning = parameters([layer for layer in layers if layer.learns])
    kept = dropwhile(lambda layer: not layer.learns, layers)
    activations = batch * sum(prod(layer.outputs) for layer in kept)
    held = parameters(layers) + (_COPIES - 1) * learning
    return _BYTES_A_PARAMETER * held + _BYTES_AN_ACTIVATION * activations


def memory_faults(settings: Settings, plans: Plans, images: int, memory: int) -> list[str]:
    """Models that can't be trained in a `memory` of so many bytes on so many `images`: one sentence each."""
    batch = settings.batch_size(images)
    faults = []
    for name, layers in plans.items():
        needed = training_bytes(layers, batch)
        if needed > memory:
            faults.append(
                f"params.yaml: width: {settings.network_width:g} gives {name} {parameters(layers):,} parameters, and "
                f"training on {counted(batch, 'image')} at once takes at least {_gigabytes(needed)}, more than the "
                f"{_gigabytes(memory)} of this device; write {_remedy(settings, name, layers, batch, memory)}"
            )
    return faults


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:,.3g} GB" if size < 1e12 else f"{size / 1e9:,.0f} GB"


def _remedy(settings: Settings, name: str, layers: Sequence[Layer], batch: int, memory: int) -> str:
    """The first of half the width, a quarter and so on that fits; where none does, the batch is too large."""
    model, (image, classes) = settings.models[name], (layers[0].inputs, layers[-1].outputs[0])
    for halvings in range(1, 20):
        width = settings.network_width / 2**halvings
        try:
            narrow = plan(model.layers, width=width, image=image, classes=classes, norm=model.norm)
        except InputError:
            break
        if training_bytes(freeze(narrow, [layer.role for layer in layers if layer.frozen]), batch) <= memory:
            return f"for example width: {width:g}"
    return "a smaller batch_size"
