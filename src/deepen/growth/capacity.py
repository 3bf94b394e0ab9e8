"""Estimate whether the networks of a ladder fit into the memory of a device, before training."""

from collections.abc import Sequence
from itertools import dropwhile
from math import prod

from deepen.config.settings import Settings
from deepen.core.counts import pluralize
from deepen.core.errors import InputError
from deepen.growth.ladder import Plans
from deepen.models.layers import Layer, count_parameters, freeze, plan

_BYTES_A_PARAMETER = 4  # float32
_COPIES = 3  # of a trainable parameter: itself, its gradient and its momentum
_LEAST_ACTIVATION_BYTES = 2  # bfloat16


def estimate_training_bytes(layers: Sequence[Layer], batch: int, best: bool = False) -> int:
    """Estimate the least memory (bytes) of a training step on `batch` images: parameters and activations.

    Activations before the first trainable layer are not stored. `best` is whether the weights of the best epoch are
    stored too.
    """
    learning = count_parameters([layer for layer in layers if layer.learns])
    kept = dropwhile(lambda layer: not layer.learns, layers)
    activations = batch * sum(prod(layer.outputs) for layer in kept)
    held = (1 + best) * count_parameters(layers) + (_COPIES - 1) * learning
    return _BYTES_A_PARAMETER * held + _LEAST_ACTIVATION_BYTES * activations


def memory_faults(settings: Settings, plans: Plans, images: int, memory: int) -> list[str]:
    """Return one fault for each model that can't be trained on `images` images in `memory` bytes."""
    batch = settings.batch_size(images)
    faults = []
    for name, layers in plans.items():
        needed = estimate_training_bytes(layers, batch, settings.training.patience is not None)
        if needed > memory:
            faults.append(
                f"params.yaml: width: {settings.network_width:g} gives {name} {count_parameters(layers):,} parameters, "
                f"and training with batches of {pluralize(batch, 'image')} needs at least {_format_gigabytes(needed)}, "
                f"more than the {_format_gigabytes(memory)} of this device; "
                f"set {_suggest_fix(settings, name, layers, batch, memory)}"
            )
    return faults


def _format_gigabytes(size: int) -> str:
    return f"{size / 1e9:,.3g} GB" if size < 1e12 else f"{size / 1e9:,.0f} GB"


def _suggest_fix(settings: Settings, name: str, layers: Sequence[Layer], batch: int, memory: int) -> str:
    """Suggest the first of half the width, a quarter and so on that fits, else a smaller batch."""
    model, (image, classes) = settings.models[name], (layers[0].inputs, layers[-1].outputs[0])
    frozen, best = [layer.role for layer in layers if layer.frozen], settings.training.patience is not None
    for halvings in range(1, 20):
        width = settings.network_width / 2**halvings
        try:
            narrow = plan(model.layers, width=width, image=image, classes=classes, norm=model.norm)
        except InputError:
            break
        if estimate_training_bytes(freeze(narrow, frozen), batch, best) <= memory:
            return f"for example width: {width:g}"
    return "a smaller batch_size"
