"""Train a network: training steps, epochs, and the state to resume from."""

from collections.abc import Callable, Mapping
from contextlib import closing

import torch
from torch import Tensor, nn

from deepen.config.recipes import TrainingSettings
from deepen.core.counts import pluralize
from deepen.core.errors import InputError
from deepen.core.seeding import derive_seed
from deepen.data.augmentation import Augmentation, AugmentedImages
from deepen.data.images import ImageSet
from deepen.data.prefetch import MappedImages, fits_in_memory
from deepen.data.statistics import Statistics
from deepen.evaluation.batch_size import choose_validation_batch
from deepen.evaluation.views import Views
from deepen.models.vgg import VGG
from deepen.runtime.device import autocast, move_to_device, reraise_out_of_memory, seed_dropout
from deepen.runtime.group import SINGLE_PROCESS, Group
from deepen.training.casting import CastTogether
from deepen.training.cuda_graph import ReplayedStep
from deepen.training.loss import Loss
from deepen.training.lr_schedule import Schedule
from deepen.training.make_optimizer import make_optimizer
from deepen.training.order import ImageOrder


class Trainer:
    """A network in training, with its images, optimizer and learning-rate schedule on one device.

    Each epoch shuffles the training images and drops the last incomplete batch. A fraction in `epochs` shortens the
    last epoch. All randomness is a function of (seed, model, epoch, step), and each process of a `group` trains on its
    shard of every batch, so several processes train as one does. Images that exceed their share of the device's memory
    stay memory-mapped on disk; the result is the same to the bit. On CUDA nothing synchronizes with the device within
    an epoch, and a single process replays its steps from a CUDA graph (`replayed`).
    """

    def __init__(
        self,
        network: nn.Module,
        images: ImageSet,
        statistics: Statistics,
        augmentation: Augmentation,
        training: TrainingSettings,
        *,
        model: str,
        peak_lr: float,
        epochs: float,
        seed: int,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        replayed: bool = True,
        group: Group = SINGLE_PROCESS,
    ) -> None:
        self.network, self.device, self.dtype = move_to_device(network, device), device, dtype
        self.mean, self.views = torch.tensor(statistics.mean, device=device), Views(size=augmentation.size)
        self.batch_size = training.batch(len(images))
        self.steps_per_epoch = len(images) // self.batch_size  # full batches only
        self._group, self._part = group, group.shard(self.batch_size)
        if isinstance(network, VGG):
            network.use_shards(group, self.batch_size)
        self._forward: Callable[[Tensor], Tensor] = group.average_gradients(self.network, device)
        if group.size == 1 and dtype != torch.float32:  # several processes average the gradients of each layer early
            self._forward = CastTogether(self.network, dtype)
        self.steps = max(1, round(epochs * self.steps_per_epoch))
        self.loss = Loss(images.labels, len(images.classes), training, device)
        self._images = _place_images(images, augmentation, statistics, device, group)
        self._labels = torch.from_numpy(images.labels).to(device)
        self._order = ImageOrder(self._labels, self.batch_size, self.steps, training.skip_easy)
        self.model, self._seed, self.step = model, seed, 0  # step: steps done
        self._losses = torch.zeros(0, device=device)  # one per step of this epoch
        self._lr = torch.zeros((), device=device)  # a tensor, so that it changes without synchronizing
        self._optimizer = make_optimizer(network, training.optimizer, self._lr, group, dtype)
        self.schedule = Schedule(training.schedule, peak_lr, self.steps)
        self._generator = torch.Generator(device)
        replays = replayed and device.type == "cuda" and group.size == 1
        self._replayed = ReplayedStep(self._generator) if replays else None

    @property
    def epochs(self) -> int:
        """The number of epochs, including a shortened last one."""
        return -(-self.steps // self.steps_per_epoch)

    @property
    def validation_batch(self) -> int:
        """The number of images to validate at once."""
        layers = self.network.layers if isinstance(self.network, VGG) else ()
        return choose_validation_batch(layers, self.batch_size // self._group.size, self.device)

    def run_epoch(self, epoch: int, after_step: Callable[[], object]) -> tuple[float, float]:
        """Run an epoch, counted from 1, or the rest of it; return its mean training loss and last learning rate.

        Raises InputError if the loss is not finite or the device runs out of memory.
        """
        self.network.train()
        first = (epoch - 1) * self.steps_per_epoch
        steps = min(self.steps_per_epoch, self.steps - first)
        if self.step == first:
            self._losses = torch.zeros(steps, device=self.device)
        self._generator.manual_seed(derive_seed(self._seed, self.model, "order", epoch))
        batches = self._order.draw(epoch, self._generator)[: steps * self.batch_size].view(steps, self.batch_size)
        what = f"{self.model}: training on {pluralize(self.batch_size, 'image')} at once"
        with closing(self._images.iter_batches(batches[self.step - first :], self._part)) as left:
            for step, rows in enumerate(left, self.step - first):
                self._lr.fill_(self.schedule.compute_lr(self.step))
                self._generator.manual_seed(derive_seed(self._seed, self.model, "augmentation", epoch, step))
                seed_dropout(self.device, derive_seed(self._seed, self.model, "dropout", epoch, step))
                with self._group.reraise_lost_rank(), reraise_out_of_memory(what, self.device):
                    losses = self._run_step(rows)
                self._losses[step] = losses[0]
                self._order.record(step, losses[1:])
                self.step += 1
                if self.device.type == "cpu":  # on other devices reading a loss would synchronize
                    self._require_finite_losses()
                after_step()
        self._require_finite_losses()
        return self._losses.mean().item(), self.schedule.compute_lr(self.step - 1)

    def take_warning(self) -> str | None:
        """Return once why the steps are not replayed, if they should be."""
        return self._replayed.take_warning() if self._replayed else None

    def get_state(self) -> dict[str, Tensor]:
        """Return the state to resume from, by name: weights, momentum, the losses of this epoch and those of images.

        Raises InputError if a loss is not finite.
        """
        self._require_finite_losses()
        weights = {f"weights.{key}": tensor for key, tensor in self.network.state_dict().items()}
        momentum = {
            f"momentum.{key}": buffer
            for key, parameter in self.network.named_parameters()
            if (buffer := self._optimizer.state.get(parameter, {}).get("momentum_buffer")) is not None
        }
        return weights | momentum | {"losses": self._losses} | self._order.get_state()

    def restore(self, step: int, state: Mapping[str, Tensor]) -> None:
        """Resume from a `state` saved after `step` steps."""
        self.network.load_state_dict({key: state[f"weights.{key}"] for key in self.network.state_dict()})
        for key, parameter in self.network.named_parameters():
            if (buffer := state.get(f"momentum.{key}")) is not None:
                momentum = torch.zeros_like(parameter, requires_grad=False)  # in the parameter's memory format
                self._optimizer.state[parameter]["momentum_buffer"] = momentum.copy_(buffer)
        self.step, self._losses = step, state["losses"].to(self.device)
        self._order.restore(state)

    def _run_step(self, rows: Tensor) -> Tensor:
        return self._replayed(self._train_step, rows) if self._replayed else self._train_step(rows)

    def _train_step(self, rows: Tensor) -> Tensor:
        """Train on this process' shard of the images `rows` (batch,).

        Return the loss of the whole batch and, if the order of the images needs them, those of its images (1 or
        1 + batch,), on the device.
        """
        batch = self._images.batch(rows, self._generator, self._part)
        labels = self._labels[rows[self._part]]
        self._optimizer.zero_grad()
        with autocast(self.device, self.dtype):
            logits = self._forward(batch)
            loss = self.loss(logits, labels)
        if self._group.size > 1:
            loss = loss * (len(labels) * self._group.size / len(rows))  # weight by shard size
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        loss = loss.detach() if self._group.size == 1 else loss.detach() / self._group.size
        return self._group.all_reduce_sum(self._order.add_losses(loss, logits, rows, self._part))

    def _require_finite_losses(self) -> None:
        epoch, done = divmod(self.step - 1, self.steps_per_epoch)
        losses = self._losses[: done + 1]
        if not torch.isfinite(losses.sum()):
            step = int((~torch.isfinite(losses)).int().argmax())
            rate = self.schedule.compute_lr(epoch * self.steps_per_epoch + step)
            raise InputError(
                f"{self.model}: the loss is {losses[step].item()} in epoch {epoch + 1}, step {step + 1}: training "
                f"diverged at a learning rate of {rate:.3g}; lower lr, for example -S lr={rate / 2:.2g}"
            )


def _place_images(
    images: ImageSet, augmentation: Augmentation, statistics: Statistics, device: torch.device, group: Group
) -> AugmentedImages | MappedImages:
    """Copy the images to the device if they fit there, else leave them memory-mapped."""
    if fits_in_memory(images, augmentation, device, group.local_size):
        return AugmentedImages(images.images, augmentation, statistics, device)
    return MappedImages(images, augmentation, statistics, device)
