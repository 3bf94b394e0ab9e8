"""The order of the training images in each epoch, in which easy images may give way to second views of others."""

from collections.abc import Mapping

import torch
from torch import Generator, Tensor
from torch.nn import functional

_CANDIDATES = 1.25  # easy images from which those to skip are drawn, as a multiple: so each comes back now and then
_LAST = 0.875  # of the steps; epochs that begin later skip no image (InfoBatch, arXiv 2303.04947, section 3.3)


class ImageOrder:
    """Draws the order of the training images for each epoch of `steps_per_epoch` batches, of `steps` in all.

    In each epoch but the first and those that begin in the last eighth of the steps, a share `skip_easy` of the images
    is skipped, drawn from those that had the lowest loss when they were last seen. As many of the others are seen
    twice, the second time at the end of the epoch. With 0, each epoch has every image once, and no losses are recorded.
    After Qin et al., "InfoBatch" (arXiv 2303.04947), which skips images below the mean loss and makes epochs shorter.
    """

    def __init__(self, labels: Tensor, batch_size: int, steps: int, skip_easy: float) -> None:
        self._labels, self._steps = labels, steps
        self._steps_per_epoch = len(labels) // batch_size
        self._skipped = min(round(skip_easy * len(labels)), len(labels) // 2)
        if self._skipped:
            self._latest = torch.full((len(labels),), torch.inf, device=labels.device)  # losses (nats) when last seen
            self._seen = torch.zeros(self._steps_per_epoch, batch_size, device=labels.device)  # losses of this epoch

    def draw(self, epoch: int, generator: Generator) -> Tensor:
        """Return image numbers (images,) for an epoch, counted from 1; the last incomplete batch is not used."""
        images, device = len(self._labels), self._labels.device
        order = torch.randperm(images, generator=generator, device=device)
        self._first = images  # images at the beginning of the epoch, each of them once
        if self._skipped and epoch > 1 and (epoch - 1) * self._steps_per_epoch < _LAST * self._steps:
            self._first = images - self._skipped
            easiest = torch.argsort(self._latest, stable=True)[: round(_CANDIDATES * self._skipped)]
            chosen = torch.randperm(len(easiest), generator=generator, device=device)[: self._skipped]
            skipped = torch.zeros(images, dtype=torch.uint8, device=device)
            skipped[easiest[chosen]] = 1
            # A sort in place of a boolean mask, whose size would have to be read from the device.
            kept = order[torch.argsort(skipped[order], stable=True)[: self._first]]
            again = torch.randperm(self._first, generator=generator, device=device)[: self._skipped]
            order = torch.cat([kept, kept[again]])
        self._order = order
        return order

    def add_losses(self, loss: Tensor, logits: Tensor, rows: Tensor, part: slice) -> Tensor:
        """Return a batch's loss (1,), and if images are skipped those of its images (batch,), 0 outside this `part`."""
        if not self._skipped:
            return loss[None]
        losses = torch.zeros(len(rows), device=loss.device)
        losses[part] = functional.cross_entropy(logits.detach().float(), self._labels[rows[part]], reduction="none")
        return torch.cat([loss[None], losses])

    def record(self, step: int, losses: Tensor) -> None:
        """Record the losses of images (batch,) after a step of an epoch, counted from 0."""
        if not self._skipped:
            return
        self._seen[step] = losses
        if step == self._steps_per_epoch - 1:
            first = min(self._first, self._seen.numel())
            self._latest[self._order[:first]] = self._seen.view(-1)[:first]

    def get_state(self) -> dict[str, Tensor]:
        """Return the losses to resume from, by name."""
        return {"image_losses": self._latest, "image_losses_of_epoch": self._seen} if self._skipped else {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Resume from a state."""
        for name, tensor in self.get_state().items():
            tensor.copy_(state[name])
