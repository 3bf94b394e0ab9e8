"""Top-k accuracy from one pass over the images: integer counts, summed over the set and divided once."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from deepen.core.counts import counted
from deepen.data.augmentation import normalize
from deepen.data.images import ImageSet
from deepen.evaluation.views import WHOLE, Views
from deepen.runtime.device import autocast, memory_told
from deepen.runtime.group import ALONE, Group

MOST_K = 5


@dataclass(frozen=True)
class Evaluation:
    """What one pass over a set of images found.

    `correct[k - 1]` counts the images whose label is among the k most probable classes, for k = 1 to 5 or the number
    of classes; `loss` is the mean cross-entropy in nats of one view an image; `predicted` is int64 (images,) and
    `probability` float32 (images,) how probable that class was.
    `correct_single` counts with one view an image; `correct` with the mean of the probabilities of all views, and of
    image and mirror image, where that was asked for.
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
    images: ImageSet,
    mean: Tensor,
    *,
    flip_averaging: bool,
    batch_size: int,
    dtype: torch.dtype = torch.float32,
    group: Group = ALONE,
    views: Views = WHOLE,
) -> Evaluation:
    """Evaluate logits against labels, on the device of `mean`, where one batch of the images after the other goes.

    `views` says what the network looks at of images larger than it takes. The layers compute in `dtype`. A `group`
    shares the batches out, and each of it learns what all found. Raises InputError where the device's memory is not
    enough.
    """
    if len(images) == 0:
        raise ValueError("evaluate needs at least one image")
    network.eval()
    mine = []
    for start in range(group.rank * batch_size, len(images), group.size * batch_size):
        rows = slice(start, start + batch_size)
        target = torch.from_numpy(images.labels[rows]).to(mean.device)
        with memory_told(f"evaluating {counted(batch_size, 'image')} at once", mean.device):
            batch = torch.from_numpy(np.array(images.batch(rows))).to(mean.device)  # a map can't be written: a copy
            logits, probabilities = infer(network, batch, mean, flip_averaging=flip_averaging, dtype=dtype, views=views)
        averaged, single = _correct(probabilities, target), _correct(logits.softmax(1), target)
        loss = functional.cross_entropy(logits, target, reduction="sum")
        most, predicted = probabilities.max(1)
        mine.append((averaged[None], single[None], loss[None], predicted, most))
    batches = group.in_turn([[tensor.cpu() for tensor in found] for found in mine])
    averaged, single, loss, predicted, most = (torch.cat(found) for found in zip(*batches, strict=True))
    correct, correct_single = (tuple(each.sum(0).tolist()) for each in (averaged, single))
    return Evaluation(len(images), correct, correct_single, loss.double().sum().item() / len(images), predicted, most)


def infer(
    network: nn.Module,
    images: Tensor,
    mean: Tensor,
    *,
    flip_averaging: bool,
    dtype: torch.dtype,
    views: Views = WHOLE,
) -> tuple[Tensor, Tensor]:
    """Logits and probabilities, float32 (batch, classes), of uint8 `images` (batch, channels, height, width).

    The logits are of the centre, the probabilities the mean over all `views`, with their mirror images where
    `flip_averaging`. The layers compute in `dtype`.
    """
    with autocast(images.device, dtype):
        batch = normalize(images, mean)
        found = list(views.logits(network, batch, mirrored=flip_averaging))
        logits = found[0] if views.kind == "centre" else network(views.centre(batch)).float()
    return logits, torch.stack([each.softmax(1) for each in found]).mean(0)


def _correct(scores: Tensor, labels: Tensor) -> Tensor:
    """How many labels are among the k highest of scores (batch, classes), for each k: int64 (k,)."""
    most_k = torch.arange(1, min(MOST_K, scores.shape[1]) + 1, device=scores.device)
    return (ranks(scores, labels)[:, None] < most_k).sum(0)
