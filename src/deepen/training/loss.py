"""The training loss: cross-entropy with label smoothing and optional class weights."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from deepen.config.recipes import TrainingSettings


class Loss:
    """The mean loss (nats) of logits (batch, classes) for labels (batch,), at least in float32.

    With `class_weights: balanced` each image is weighted by `balanced_weights` of all `labels` (images,). The mean is
    over images, not over weights: shards of a batch add up to the batch, and over an epoch the mean weight is 1.
    `least` is the loss of a network that is right and sure of all images, above 0 for smoothed labels.
    """

    def __init__(
        self, labels: NDArray[np.int64], classes: int, training: TrainingSettings, device: torch.device
    ) -> None:
        self._smoothing = training.label_smoothing
        weights = balanced_weights(labels, classes) if training.class_weights == "balanced" else None
        self.balanced = weights is not None
        self._weights = None if weights is None else torch.tensor(weights, dtype=torch.float32, device=device)
        self._classes = torch.arange(classes, device=device)
        self.guessing_loss = frequency_loss(labels, classes, weights, training.label_smoothing)
        self.least = frequency_loss(np.zeros(1, np.int64), classes, smoothing=training.label_smoothing)

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Compute the mean over the batch."""
        # Under autocast, CUDA would compute the logarithms of bfloat16 logits in bfloat16.
        scores = logits.to(torch.promote_types(logits.dtype, torch.float32))
        compute = self._compute_in_few_kernels if scores.is_cuda and self._smoothing else self._compute
        return compute(scores, labels)

    def _compute(self, scores: Tensor, labels: Tensor) -> Tensor:
        if self._weights is None:
            return functional.cross_entropy(scores, labels, label_smoothing=self._smoothing)
        losses = functional.cross_entropy(scores, labels, label_smoothing=self._smoothing, reduction="none")
        return (losses * self._weights[labels]).mean()

    def _compute_in_few_kernels(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Compute the same, up to rounding, from the smoothed labels; PyTorch's smoothing takes over 20 kernels."""
        right, share = labels[:, None] == self._classes, -1 / len(labels)  # (batch, classes); of an image in the mean
        targets = right * (share * (1 - self._smoothing)) + share * self._smoothing / len(self._classes)
        if self._weights is not None:
            targets = targets * self._weights[labels, None]
        return (functional.log_softmax(scores, dim=1) * targets).sum()


def balanced_weights(labels: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """Compute class weights (classes,) as scikit-learn does: images / (non-empty classes * images of the class).

    The mean weight over the labels (images,) is 1. An empty class has weight 0.
    """
    counts = np.bincount(labels, minlength=classes)
    weights = np.zeros(classes)
    weights[counts > 0] = len(labels) / np.count_nonzero(counts) / counts[counts > 0]
    return weights


def frequency_loss(
    labels: NDArray[np.int64], classes: int, weights: NDArray[np.float64] | None = None, smoothing: float = 0.0
) -> float:
    """Compute the lowest loss (nats) on labels (images,) that a constant prediction reaches.

    That prediction is each class's share of the weight, smoothed; its loss is the entropy of these shares.
    """
    shares = np.bincount(labels, weights if weights is None else weights[labels], classes) / len(labels)
    smoothed = (1 - smoothing) * shares + smoothing / classes
    return float(abs((smoothed * np.log(smoothed, where=smoothed > 0, out=np.zeros(classes))).sum()))
