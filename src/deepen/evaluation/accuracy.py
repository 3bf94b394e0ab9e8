"""Top-k accuracy in one pass over the images, from exact integer counts."""

from dataclasses import dataclass
from itertools import cycle
from math import prod

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from deepen.core.counts import pluralize
from deepen.data.augmentation import normalize
from deepen.data.images import ImageSet
from deepen.evaluation.views import WHOLE, Views
from deepen.runtime.buffers import make_buffers
from deepen.runtime.device import autocast, reraise_out_of_memory
from deepen.runtime.group import SINGLE_PROCESS, Group

MOST_K = 5


@dataclass(frozen=True)
class Evaluation:
    """The results of one pass over a set of images.

    `correct[k - 1]` counts the images whose label is among the k most probable classes, for k from 1 to 5 or the number
    of classes. It uses the mean of the probabilities of all views and, if enabled, of mirror images; `correct_single`
    uses one view of each image. `loss` is the mean cross-entropy in nats of one view. `predicted` is int64 (images,),
    and `probability` float32 (images,) is the probability of the predicted class.
    """

    images: int
    correct: tuple[int, ...]
    correct_single: tuple[int, ...]
    loss: float
    predicted: Tensor
    probability: Tensor

    def percent(self, k: int) -> float:
        """Return the top-k accuracy in percent."""
        return 100 * self.correct[k - 1] / self.images

    def percent_single(self, k: int) -> float:
        """Return the top-k accuracy in percent from one view of each image."""
        return 100 * self.correct_single[k - 1] / self.images


def rank_labels(scores: Tensor, labels: Tensor) -> Tensor:
    """Return the rank of each label, int64 (batch,), 0 = most probable, in scores (batch, classes).

    Of classes with equal scores the first ranks higher. A label whose score is NaN ranks last, so that a diverged
    network is never counted as correct.
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
    group: Group = SINGLE_PROCESS,
    views: Views = WHOLE,
) -> Evaluation:
    """Evaluate a network on labelled images, batch by batch, on the device of `mean`.

    `views` selects the parts of images that are larger than the network's input. The layers compute in `dtype`. The
    processes of a `group` share the batches, and each returns the results of all. Raises InputError if the device runs
    out of memory.
    """
    if len(images) == 0:
        raise ValueError("evaluate needs at least one image")
    network.eval()
    device, labels = mean.device, torch.from_numpy(images.labels).to(mean.device)
    buffers = cycle(make_buffers(2, min(batch_size, len(images)) * prod(images.shape), device))
    mine = []
    for start in range(group.rank * batch_size, len(images), group.size * batch_size):
        rows = slice(start, start + batch_size)
        with reraise_out_of_memory(f"evaluating {pluralize(batch_size, 'image')} at once", device):
            batch = next(buffers).copy(torch.from_numpy(np.array(images.batch(rows))), device)  # maps are read-only
            outputs = infer(network, batch, mean, flip_averaging=flip_averaging, dtype=dtype, views=views)
        mine.append(_score(*outputs, labels[rows]))
    batches = group.all_gather_interleaved(_read(mine))
    averaged, single, loss, predicted, highest = (torch.cat(results) for results in zip(*batches, strict=True))
    correct, correct_single = (tuple(each.sum(0).tolist()) for each in (averaged, single))
    return Evaluation(
        len(images), correct, correct_single, loss.double().sum().item() / len(images), predicted, highest
    )


def _score(logits: Tensor, probabilities: Tensor, labels: Tensor) -> list[Tensor]:
    """Return a batch's counts by averaged probabilities and by one view, loss, predictions and their probabilities."""
    averaged, single = _count_correct(probabilities, labels), _count_correct(logits.softmax(1), labels)
    loss = functional.cross_entropy(logits, labels, reduction="sum")
    highest, predicted = probabilities.max(1)
    return [averaged[None], single[None], loss[None], predicted, highest]


def _read(batches: list[list[Tensor]]) -> list[list[Tensor]]:
    """Copy the tensors of all batches to the CPU at once: each copy from a GPU waits for it."""
    tensors = [tensor for batch in batches for tensor in batch]
    if not tensors:
        return []
    joined = torch.cat([tensor.flatten().view(torch.uint8) for tensor in tensors]).cpu()
    parts = iter(torch.split_with_sizes(joined, [tensor.nbytes for tensor in tensors]))
    return [[next(parts).clone().view(tensor.dtype).view(tensor.shape) for tensor in batch] for batch in batches]


def infer(
    network: nn.Module,
    images: Tensor,
    mean: Tensor,
    *,
    flip_averaging: bool,
    dtype: torch.dtype,
    views: Views = WHOLE,
) -> tuple[Tensor, Tensor]:
    """Return logits and probabilities, float32 (batch, classes), of uint8 `images` (batch, channels, height, width).

    The logits are of the centre. The probabilities are the mean over all `views` and, with `flip_averaging`, their
    mirror images. The layers compute in `dtype`.
    """
    with autocast(images.device, dtype):
        batch = normalize(images, mean)
        all_logits = list(views.compute_logits(network, batch, mirrored=flip_averaging))
        logits = all_logits[0] if views.kind in ("centre", "shifts") else network(views.centre(batch)).float()
    return logits, torch.stack([each.softmax(1) for each in all_logits]).mean(0)


def _count_correct(scores: Tensor, labels: Tensor) -> Tensor:
    """Count the labels among the k highest scores (batch, classes), for each k: int64 (k,)."""
    most_k = torch.arange(1, min(MOST_K, scores.shape[1]) + 1, device=scores.device)
    return (rank_labels(scores, labels)[:, None] < most_k).sum(0)
