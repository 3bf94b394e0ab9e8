"""A network in training: a step, an epoch, and the state to go on from."""

from collections.abc import Callable, Mapping
from contextlib import closing

import torch
from torch import Tensor, nn, optim

from deepen.config.recipes import Muon as MuonSettings
from deepen.config.recipes import Sgd, Training
from deepen.core.counts import counted
from deepen.core.errors import InputError
from deepen.core.seeding import derive
from deepen.data.augmentation import Augmentation, AugmentedImages
from deepen.data.images import ImageSet
from deepen.data.prefetch import MappedImages, fits
from deepen.data.statistics import Statistics
from deepen.evaluation.views import Views
from deepen.models.vgg import VGG
from deepen.runtime.device import autocast, memory_told, place
from deepen.runtime.group import ALONE, Group
from deepen.training.cuda_graph import ReplayedStep
from deepen.training.loss import Loss
from deepen.training.lr_schedule import Schedule
from deepen.training.muon import Muon
from deepen.training.optimizers import SGD


class Trainer:
    """A network in training, with its images, optimizer and schedule on one device.

    An epoch takes the training images in a new random order in whole batches; the few that fill no batch wait for
    another epoch. A fraction in `epochs` cuts the last one short. All randomness is a function of (seed, model, epoch,
    step), and each of a `group` has its part of every batch, so that several processes train as one does. Images that
    take more than their share of the device's memory stay in their map, and the bits are the same. On CUDA nothing
    waits for the device within an epoch, and the steps of one process are `replayed` from a graph.
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
        group: Group = ALONE,
    ) -> None:
        self.network, self.device, self.dtype = place(network, device), device, dtype
        self.mean = torch.tensor(statistics.mean, device=device)
        self.views = Views(size=augmentation.size)  # to validate with
        self.batch_size = training.batch(len(images))
        self.steps_an_epoch = len(images) // self.batch_size  # whole batches
        self._group, self._part = group, group.part(self.batch_size)
        if isinstance(network, VGG):
            network.share(group, self.batch_size)
        self._averaged = group.averaging(self.network, device)
        self.steps = max(1, round(epochs * self.steps_an_epoch))
        self.model, self._seed = model, seed
        self.loss = Loss(images.labels, len(images.classes), training, device)
        self._images = _placed(images, augmentation, statistics, device, group)
        self._labels = torch.from_numpy(images.labels).to(device)
        self.step = 0  # how many are done
        self._losses = torch.zeros(0, device=device)  # of the steps of this epoch
        self._lr = torch.zeros((), device=device)  # a tensor, which can change while the device goes on
        self._optimizer = _optimizer(network, training.optimizer, self._lr, group)
        self.schedule = Schedule(training.schedule, peak_lr, self.steps)
        self._generator = torch.Generator(device)
        self._learn: Callable[[Tensor], Tensor] = self._learn_from
        if replayed and device.type == "cuda" and group.size == 1:
            self._learn = ReplayedStep(self._learn_from, self._generator)

    @property
    def epochs(self) -> int:
        """How many epochs there are, the last one perhaps cut short."""
        return -(-self.steps // self.steps_an_epoch)

    def epoch(self, epoch: int, after_step: Callable[[], object]) -> tuple[float, float]:
        """Run an epoch, counted from 1, or what is left of it; returns its mean loss and last learning rate.

        The loss is the one that training lowers, weighted by class where `class_weights` says so.

        Raises InputError if the loss is not finite, or the device's memory not enough.
        """
        self.network.train()
        first = (epoch - 1) * self.steps_an_epoch
        steps = min(self.steps_an_epoch, self.steps - first)
        if self.step == first:
            self._losses = torch.zeros(steps, device=self.device)
        self._generator.manual_seed(derive(self._seed, self.model, "order", epoch))
        order = torch.randperm(len(self._labels), generator=self._generator, device=self.device)
        batches = order[: steps * self.batch_size].view(steps, self.batch_size)
        what = f"{self.model}: training on {counted(self.batch_size, 'image')} at once"
        with closing(self._images.in_turn(batches[self.step - first :], self._part)) as left:
            for step, rows in enumerate(left, self.step - first):
                self._lr.fill_(self.schedule.lr(self.step))
                self._generator.manual_seed(derive(self._seed, self.model, "augmentation", epoch, step))
                torch.manual_seed(derive(self._seed, self.model, "dropout", epoch, step))
                with self._group.waiting(), memory_told(what, self.device):
                    self._losses[step] = self._learn(rows)
                self.step += 1
                if self.device.type == "cpu":  # elsewhere reading a loss would wait for the device
                    self._stop_if_not_finite()
                after_step()
        self._stop_if_not_finite()
        return self._losses.mean().item(), self.schedule.lr(self.step - 1)

    def state(self) -> dict[str, Tensor]:
        """What the next steps build on: weights, momentum, and the losses of this epoch, by name.

        Raises InputError where a loss is not finite: there is nothing to build on.
        """
        self._stop_if_not_finite()
        weights = {f"weights.{key}": tensor for key, tensor in self.network.state_dict().items()}
        momentum = {
            f"momentum.{key}": buffer
            for key, parameter in self.network.named_parameters()
            if (buffer := self._optimizer.state.get(parameter, {}).get("momentum_buffer")) is not None
        }
        return weights | momentum | {"losses": self._losses}

    def restore(self, step: int, state: Mapping[str, Tensor]) -> None:
        """Go on from a `state` after so many steps."""
        self.network.load_state_dict({key: state[f"weights.{key}"] for key in self.network.state_dict()})
        for key, parameter in self.network.named_parameters():
            if (buffer := state.get(f"momentum.{key}")) is not None:
                kept = torch.zeros_like(parameter, requires_grad=False).copy_(buffer)  # in the parameter's layout
                self._optimizer.state[parameter]["momentum_buffer"] = kept
        self.step, self._losses = step, state["losses"].to(self.device)

    def _learn_from(self, rows: Tensor) -> Tensor:
        """One step on the images `rows` (batch,), this process on its part; returns the loss of all, on the device."""
        batch = self._images.batch(rows, self._generator, self._part)
        labels = self._labels[rows[self._part]]
        self._optimizer.zero_grad()
        with autocast(self.device, self.dtype):
            logits = self._averaged(batch)
            loss = self.loss(logits, labels)
        loss = loss * (len(labels) * self._group.size / len(rows))  # a larger part weighs more in the mean of all
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        return self._group.sum(loss.detach()) / self._group.size

    def _stop_if_not_finite(self) -> None:
        epoch, done = divmod(self.step - 1, self.steps_an_epoch)
        losses = self._losses[: done + 1]
        if not torch.isfinite(losses.sum()):
            step = int((~torch.isfinite(losses)).int().argmax())
            rate = self.schedule.lr(epoch * self.steps_an_epoch + step)
            raise InputError(
                f"{self.model}: the loss is {losses[step].item()} in epoch {epoch + 1}, step {step + 1}: training "
                f"diverged at a learning rate of {rate:.3g}; lower lr, for example -S lr={rate / 2:.2g}"
            )


def _placed(
    images: ImageSet, augmentation: Augmentation, statistics: Statistics, device: torch.device, group: Group
) -> AugmentedImages | MappedImages:
    """The images on the device where they fit there, else in the map of their file."""
    if fits(images, augmentation, device, group.processes_here):
        return AugmentedImages(images.images, augmentation, statistics, device)
    return MappedImages(images, augmentation, statistics, device)


def _optimizer(network: nn.Module, settings: MuonSettings | Sgd, lr: Tensor, group: Group) -> optim.Optimizer:
    """The optimizer of what is not frozen."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    momentum, weight_decay = settings.momentum, settings.weight_decay
    if settings.name == "muon":
        return Muon(parameters, lr, momentum=momentum, weight_decay=weight_decay, group=group)
    return SGD(
        parameters,
        lr,
        momentum=momentum,
        nesterov=settings.nesterov,
        weight_decay=weight_decay,
        fused=lr.is_cuda,
    )
