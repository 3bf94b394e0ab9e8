"""Compute on fewer images at once where a device runs out of memory."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from deepen.core.counts import pluralize
from deepen.evaluation.accuracy import Evaluation
from deepen.runtime.device import OutOfMemory, reraise_out_of_memory

Pixels = NDArray[np.uint8]
Probabilities = NDArray[np.float32]


def infer_in_parts(infer: Callable[[Pixels], Probabilities], images: Pixels, device: torch.device) -> Probabilities:
    """Return the results of `infer` for images (images, ...), in halves if they are too many for the memory.

    Raises OutOfMemory if there is too little memory for a single image.
    """
    try:
        with reraise_out_of_memory(
            f"predicting {pluralize(len(images), 'image')} at once", device, suggest_cpu(device)
        ):
            return infer(images)
    except OutOfMemory:
        if len(images) == 1:
            raise
    half = len(images) // 2  # after the error, which holds the memory of the attempt
    parts = [infer_in_parts(infer, part, device) for part in (images[:half], images[half:])]
    return np.concatenate(parts)


def evaluate_in_smaller_batches(
    evaluate: Callable[[int], Evaluation], batch_size: int, device: torch.device
) -> Evaluation:
    """Return the result of `evaluate` for the largest of `batch_size`, its half, and so on, that fits in memory.

    Raises OutOfMemory if there is too little memory for a single image.
    """
    try:
        return evaluate(batch_size)
    except OutOfMemory as error:
        if batch_size == 1:
            raise OutOfMemory("evaluating 1 image at once", device, error.cause, suggest_cpu(device)) from error
    return evaluate_in_smaller_batches(evaluate, batch_size // 2, device)


def suggest_cpu(device: torch.device) -> str:
    """Return the remedy where even one image is too much; there is no smaller batch."""
    return "use a machine with more memory" if device.type == "cpu" else "use the device cpu"
