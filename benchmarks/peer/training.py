"""Train the peer for a number of FLOPs."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.peer.images import AlternatingImages, Normalization
from benchmarks.peer.network import IMAGE, PATCH, WHITENED, PeerNetwork, compute_whitening, count_peer_flops
from benchmarks.peer.optimization import Lookahead, make_optimizers, set_learning_rates
from benchmarks.peer.recipes import PeerRecipe
from deepen.core.errors import InputError
from deepen.core.seeding import derive_seed, make_generator
from deepen.data.images import ImageSet
from deepen.data.statistics import Statistics
from deepen.runtime.device import autocast, move_to_device
from deepen.training.cuda_graph import ReplayedStep
from deepen.training.order import ImageOrder

WHITENING_IMAGES = 5000  # as in the paper


@dataclass(frozen=True)
class Plan:
    """The length of a training: `steps`, those in which the whitening's bias learns, and the FLOPs of all."""

    steps: int
    bias_steps: int
    flops: int


def plan_training(recipe: PeerRecipe, *, width: float, classes: int, images: int, budget: float) -> Plan:
    """Return the longest training within a budget (FLOPs); raises InputError if that is not a step."""
    learning, fixed = (
        recipe.batch_size * count_peer_flops(width, classes, bias_learns=learns) for learns in (True, False)
    )
    most = round(recipe.whitening_bias_epochs * (images // recipe.batch_size))
    bias_steps = min(most, int(budget // learning))
    steps = bias_steps + int((budget - bias_steps * learning) // fixed) if bias_steps == most else bias_steps
    if steps < 1 or images < recipe.batch_size:
        raise InputError(
            f"the peer's batch is {recipe.batch_size} images, a step takes {learning / 1e12:.3g} TFLOP; "
            f"give it as many training images, of {images}, and a larger budget: "
            f"statistics leave {max(budget, 0) / 1e12:.3g} TFLOP"
        )
    return Plan(steps, bias_steps, bias_steps * learning + (steps - bias_steps) * fixed)


def count_whitening_flops(images: int) -> int:
    """Return the FLOPs of the second moments of all patches that the whitening is made from."""
    patches = min(images, WHITENING_IMAGES) * (IMAGE[1] - PATCH + 1) * (IMAGE[2] - PATCH + 1)
    return patches * 2 * (WHITENED // 2) ** 2


class PeerTrainer:
    """A peer in training. On CUDA nothing synchronizes with the device, and steps are replayed from a graph."""

    def __init__(
        self,
        images: ImageSet,
        statistics: Statistics,
        recipe: PeerRecipe,
        plan: Plan,
        *,
        width: float,
        seed: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self._recipe, self._plan, self._device, self._dtype = recipe, plan, device, dtype
        self.normalize = Normalization(statistics, device)
        self._images = AlternatingImages(images, self.normalize, shift=recipe.shift, seed=seed, device=device)
        self._order = ImageOrder(self._images.labels, recipe.batch_size, plan.steps, recipe.skip_easy)
        self.network = self._make_network(width, len(images.classes), seed)
        self._optimizers = make_optimizers(self.network, recipe, device)

    def _make_network(self, width: float, classes: int, seed: int) -> PeerNetwork:
        generator = make_generator(self._device, seed, "peer", "whitening")
        rows = torch.randperm(len(self._images.labels), generator=generator, device=self._device)[:WHITENING_IMAGES]
        whitening = compute_whitening(self.normalize(self._images.whole[rows]))
        torch.manual_seed(derive_seed(seed, "peer", "start"))
        network = PeerNetwork(whitening, width=width, classes=classes, divisor=self._recipe.logit_divisor)
        bound = self._recipe.whitening_bias_bound
        torch.nn.init.uniform_(network.whitening.bias, -bound, bound)  # type: ignore[arg-type]
        if self._recipe.unit_head:
            network.head.weight.data /= network.head.weight.data.std()
        move_to_device(network, self._device)
        return network

    def train(self) -> None:
        """Train to the end."""
        plan, network, images = self._plan, self.network, self._images
        lookahead = Lookahead(network, plan.steps) if self._recipe.lookahead else None
        network.train()
        per_epoch = len(images.labels) // self._recipe.batch_size
        run_step = self._make_step()
        for step in range(plan.steps):
            epoch, position = divmod(step, per_epoch)
            if position == 0:
                order = self._order.draw(epoch + 1, images.start_epoch(epoch))
            if step == plan.bias_steps:
                network.whitening.requires_grad_(False)
                run_step = self._make_step()
            set_learning_rates(self._optimizers, self._recipe, step, plan.steps, plan.bias_steps)
            losses = run_step(order[position * self._recipe.batch_size :][: self._recipe.batch_size])
            self._order.record(position, losses[1:])
            if lookahead:
                lookahead.update(step + 1)
        if not all(tensor.isfinite().all() for tensor in network.state_dict().values()):
            raise InputError("the peer's weights are not finite: training diverged; lower its learning rates")

    def _make_step(self) -> Callable[[Tensor], Tensor]:
        if self._device.type == "cuda":
            return partial(ReplayedStep(torch.Generator(self._device)), self._train_step)
        return self._train_step

    def _train_step(self, rows: Tensor) -> Tensor:
        """Train on the images `rows` (batch,); return the sum of their losses, and each if images are skipped."""
        for optimizer in self._optimizers:
            optimizer.zero_grad()
        with autocast(self._device, self._dtype):
            logits = self.network(self._images.batch(rows))
            labels, smoothing = self._images.labels[rows], self._recipe.label_smoothing
            loss = functional.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="sum")
        loss.backward()  # type: ignore[no-untyped-call]
        for optimizer in self._optimizers:
            optimizer.step()
        return self._order.add_losses(loss.detach(), logits, rows, slice(None))
