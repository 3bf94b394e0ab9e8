"""The epoch, the schedule, the loop: a network and images in, trained weights and the history out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn, optim
from torch.nn import functional

from deepen.accuracy import evaluate
from deepen.augmentation import Augmentation, AugmentedImages
from deepen.cuda_graph import ReplayedStep
from deepen.device import autocast, place
from deepen.errors import InputError
from deepen.images import ImageSet
from deepen.muon import Muon
from deepen.randomness import derive
from deepen.schedule import Schedule
from deepen.settings import Muon as MuonSettings
from deepen.settings import Sgd, Training
from deepen.statistics import Statistics

_VALIDATION_BATCH = 500


@dataclass(frozen=True)
class Epoch:
    """One epoch, counted from 1: the last learning rate, the mean loss while training, and what validation found.

    Losses are in nats; `loss` is that of augmented images with dropout and smoothed labels, `val_loss` of neither.
    `val_top1` is in percent.
    """

    epoch: int
    lr: float
    loss: float
    val_loss: float
    val_top1: float


@dataclass(frozen=True)
class Progress:
    """What is called after each step and after each epoch."""

    step: Callable[[], object] = lambda: None
    epoch: Callable[[Epoch], object] = lambda epoch: None


class Trainer:
    """A network in training, with its images, optimizer and schedule on one device.

    An epoch takes the training images in a new random order in whole batches; the few that fill no batch wait for
    another epoch. A fraction in `epochs` cuts the last one short. All randomness is a function of (seed, model, epoch,
    step). On CUDA nothing waits for the device within an epoch, and steps are `replayed` from a graph.
    """

    def __init__(
        self,
        network: nn.Module,
        images: ImageSet,
        statistics: Statistics,
        augmentation: Augmentation,
        training: Training,
        *,
        model: str,
        peak_lr: float,
        epochs: float,
        seed: int,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        replayed: bool = True,
    ) -> None:
        self.network, self.device, self.dtype = place(network, device), device, dtype
        self.mean = torch.tensor(statistics.mean, device=device)
        self.steps_an_epoch, self.batch_size = steps_an_epoch(len(images), training.batch_size)
        self.steps = max(1, round(epochs * self.steps_an_epoch))
        self._model, self._seed = model, seed
        self._training = training
        self._images = AugmentedImages(torch.from_numpy(images.images), augmentation, statistics, device)
        self._labels = torch.from_numpy(images.labels).to(device)
        self._lr = torch.zeros((), device=device)  # a tensor, which can change while the device goes on
        self._optimizer = _optimizer(network, training.optimizer, self._lr)
        self.schedule = Schedule(training.schedule, peak_lr, self.steps)
        self._generator = torch.Generator(device)
        self._step: Callable[[Tensor], Tensor] = self._learn
        if replayed and device.type == "cuda":
            self._step = ReplayedStep(self._learn, self._generator)

    @property
    def epochs(self) -> int:
        """How many epochs there are, the last one perhaps cut short."""
        return -(-self.steps // self.steps_an_epoch)

    def epoch(self, epoch: int, after_step: Callable[[], object]) -> tuple[float, float]:
        """Run an epoch, counted from 1; returns its mean loss and last learning rate.

        Raises InputError if the loss is not finite.
        """
        self.network.train()
        self._generator.manual_seed(derive(self._seed, self._model, "order", epoch))
        order = torch.randperm(len(self._labels), generator=self._generator, device=self.device)
        steps = min(self.steps_an_epoch, self.steps - (epoch - 1) * self.steps_an_epoch)
        losses, rates = torch.zeros(steps, device=self.device), []
        for step, rows in enumerate(order[: steps * self.batch_size].view(steps, self.batch_size)):
            rates.append(self.schedule.lr((epoch - 1) * self.steps_an_epoch + step))
            self._lr.fill_(rates[-1])
            self._generator.manual_seed(derive(self._seed, self._model, "augmentation", epoch, step))
            torch.manual_seed(derive(self._seed, self._model, "dropout", epoch, step))
            losses[step] = self._step(rows)
            if self.device.type == "cpu":  # elsewhere reading a loss would wait for the device
                _stop_if_not_finite(losses[: step + 1], rates, self._model, epoch)
            after_step()
        _stop_if_not_finite(losses, rates, self._model, epoch)
        return losses.mean().item(), rates[-1]

    def _learn(self, rows: Tensor) -> Tensor:
        """One step on the images `rows` (batch,); returns the loss, on the device."""
        batch, labels = self._images.batch(rows, self._generator), self._labels[rows]
        self._optimizer.zero_grad()
        with autocast(self.device, self.dtype):
            logits = self.network(batch)
            loss = functional.cross_entropy(logits, labels, label_smoothing=self._training.label_smoothing)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        return loss.detach()


def train(trainer: Trainer, validation: ImageSet, progress: Progress) -> list[Epoch]:
    """Train to the end, validating after each epoch; returns a row an epoch."""
    images, labels = (torch.from_numpy(array).to(trainer.device) for array in (validation.images, validation.labels))
    history = []
    for epoch in range(1, trainer.epochs + 1):
        loss, lr = trainer.epoch(epoch, progress.step)
        found = evaluate(
            trainer.network,
            images,
            labels,
            trainer.mean,
            flip_averaging=False,
            batch_size=_VALIDATION_BATCH,
            dtype=trainer.dtype,
        )
        trainer.schedule.validated(found.percent(1))
        history.append(Epoch(epoch, lr, loss, found.loss, found.percent(1)))
        progress.epoch(history[-1])
    return history


def steps_an_epoch(images: int, batch_size: int) -> tuple[int, int]:
    """How many whole batches an epoch has, and how many images are in each: all of them where one batch holds them."""
    batch_size = min(images, batch_size)
    return images // batch_size, batch_size


def _optimizer(network: nn.Module, settings: MuonSettings | Sgd, lr: Tensor) -> optim.Optimizer:
    momentum, weight_decay = settings.momentum, settings.weight_decay
    if settings.name == "muon":
        return Muon(network.parameters(), lr, momentum=momentum, weight_decay=weight_decay)
    return optim.SGD(
        network.parameters(),
        lr,
        momentum=momentum,
        nesterov=settings.nesterov,
        weight_decay=weight_decay,
        fused=lr.is_cuda,
    )


def _stop_if_not_finite(losses: Tensor, rates: Sequence[float], model: str, epoch: int) -> None:
    if not torch.isfinite(losses.sum()):
        step = int((~torch.isfinite(losses)).int().argmax())
        raise InputError(
            f"{model}: the loss is {losses[step].item()} in epoch {epoch}, step {step + 1}: training diverged at a "
            f"learning rate of {rates[step]:.3g}; lower lr, for example -S lr={rates[step] / 2:.2g}"
        )
