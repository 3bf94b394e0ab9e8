"""Top-k accuracy from one pass over the images: integer counts, summed over the set and divided once."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from deepen.augmentation import normalize
from deepen.device import autocast, memory_told

MOST_K = 5


@dataclass(frozen=True)
class Evaluation:
    """What one pass over a set of images found.

    `correct[k - 1]` counts the images whose label is among the k most probable classes, for k = 1 to 5 or the number
    of classes; `loss` is the mean cross-entropy in nats of the unflipped images; `predicted` is int64 (images,) and
    `probability` float32 (images,) how probable that class was.
    `correct_single` counts with one view an image; `correct` with the mean of the probabilities of image and mirror
    image, where that was asked for.
    """

    images: int
    correct: tuple[int, ...]
    correct_single: tuple[int, ...]
    loss: float
    predicted: Tensor
    probability: Tensor

    def percent(self, k: int) -> float:
        """Top-k accuracy in percent."""
        return 100 * self.correct[k - 1] / self.images

    def percent_single(self, k: int) -> float:
        """Top-k accuracy in percent, from one view an image."""
        return 100 * self.correct_single[k - 1] / self.images


def ranks(scores: Tensor, labels: Tensor) -> Tensor:
    """How many classes are ahead of the label: int64 (batch,), 0 = most probable, of scores (batch, classes).

    Of classes with equal scores the first is ahead, and all are where the label's score is not a number, so that a
    network that knows nothing is not called right.
    """
    own = scores.gather(1, labels[:, None])
    earlier = torch.arange(scores.shape[1], device=scores.device) < labels[:, None]
    return (~(scores <= own) | ((scores == own) & earlier)).sum(1)


@torch.inference_mode()
def evaluate(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    mean: Tensor,
    *,
    flip_averaging: bool,
    batch_size: int,
    dtype: torch.dtype = torch.float32,
) -> Evaluation:
    """Evaluate logits of uint8 `images` (n, channels, height, width) against `labels` (n,), on the device of `mean`.

    Where images and labels lie elsewhere, one batch after the other goes there. The layers compute in `dtype`. Raises
    InputError where the device's memory is not enough.
    """
    if len(labels) == 0:
        raise ValueError("evaluate needs at least one image")
    network.eval()
    losses, averaged, single, highest = [], [], [], []
    for start in range(0, len(labels), batch_size):
        target = labels[start : start + batch_size].to(mean.device)
        with memory_told(f"evaluating {batch_size} images at once", mean.device):
            batch = images[start : start + batch_size].to(mean.device)
            logits, probabilities = infer(network, batch, mean, flip_averaging=flip_averaging, dtype=dtype)
        losses.append(functional.cross_entropy(logits, target, reduction="sum"))
        single.append(ranks(logits.softmax(1), target))
        averaged.append(ranks(probabilities, target))
        highest.append(probabilities.max(1))
    loss = torch.stack(losses).cpu().double().sum().item() / len(labels)
    return Evaluation(
        len(labels),
        _counts(averaged, logits.shape[1]),
        _counts(single, logits.shape[1]),
        loss,
        torch.cat([found.indices for found in highest]).cpu(),
        torch.cat([found.values for found in highest]).cpu(),
    )


def infer(
    network: nn.Module, images: Tensor, mean: Tensor, *, flip_averaging: bool, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Logits and probabilities, float32 (batch, classes), of uint8 `images` (batch, channels, height, width).

    The probabilities are the mean over image and mirror image where `flip_averaging`. The layers compute in `dtype`.
    """
    with autocast(images.device, dtype):
        batch = normalize(images, mean)
        logits = network(batch).float()
        mirrored = network(batch.flip(3)).float() if flip_averaging else None
    probabilities = logits.softmax(1)
    if mirrored is not None:
        probabilities = (probabilities + mirrored.softmax(1)) / 2
    return logits, probabilities


def _counts(found: list[Tensor], classes: int) -> tuple[int, ...]:
    """How many ranks are below k, for each k."""
    rank = torch.cat(found)
    return tuple(int((rank < k).sum()) for k in range(1, min(MOST_K, classes) + 1))
