"""The processes that work on a model together: which of them this is, and what they tell each other.

torchrun starts them (torch.distributed: NCCL between GPUs, Gloo between CPUs). Without it one process is all there is,
and a group of one does nothing that a process alone would not.
"""

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from deepen.core.counts import counted
from deepen.core.errors import InputError
from deepen.core.files import cannot_write
from deepen.runtime.roll_call import RollCall

T = TypeVar("T")
PATIENCE = timedelta(minutes=5)  # how long a process waits for the others before it gives up
_A_WHILE = timedelta(days=365)  # for another training to end, which the first process may have to wait for


class Group:
    """This process among those that torchrun started: `rank` of `size`, counted from 0; 0 of 1 without it, or `alone`.

    `writes` says whether this process writes the files: the first does, and, once it has joined, the first on each
    machine that does not share its folder.
    """

    def __init__(self, *, alone: bool = False) -> None:
        started = not alone and distributed.is_torchelastic_launched()
        self.rank, self.size = (int(os.environ[key]) for key in ("RANK", "WORLD_SIZE")) if started else (0, 1)
        self.writes = self.rank == 0
        if self.size > 1:
            self._store, _, _ = next(rendezvous("env://"))
            self._roll_call = RollCall(self._store, self.rank, self.size)

    @property
    def local_rank(self) -> int | None:
        """Which of this machine's processes this is; None where there is but one process at all."""
        return int(os.environ["LOCAL_RANK"]) if self.size > 1 else None

    @property
    def processes_here(self) -> int:
        """How many of the processes this machine has."""
        return int(os.environ["LOCAL_WORLD_SIZE"]) if self.size > 1 else 1

    @contextmanager
    def joined(self, folder: Path) -> Iterator[None]:
        """Work with the others inside, once the first process is there, which may take its time.

        `folder` is where each looks whether it shares its files with the first. An InputError that several raise in
        the same words is told by one of them.
        """
        if self.size == 1:
            yield
            return
        with self._in_one_folder(folder):
            backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
            self._roll_call.enter()
            distributed.init_process_group(
                backend, store=self._store, rank=self.rank, world_size=self.size, timeout=PATIENCE
            )
        try:
            yield
        except InputError as error:
            if self._roll_call.is_told(str(error)):
                raise SystemExit(1) from error
            raise
        distributed.destroy_process_group()  # not after an error: it would wait for who does not answer

    @contextmanager
    def _in_one_folder(self, folder: Path) -> Iterator[None]:
        """Find out who writes, by a file of the first process."""
        if self.rank == 0:
            sign = folder / f".{uuid.uuid4().hex}"
            try:
                folder.mkdir(parents=True, exist_ok=True)
                sign.touch()
            except OSError as error:
                raise cannot_write(folder, error) from error
            self._store.set("sign", sign.name)
            try:
                yield
            finally:
                sign.unlink()
        else:
            try:
                self._store.wait(["sign"], _A_WHILE)
            except RuntimeError as error:  # the first process has ended, and says why
                raise SystemExit(1) from error
            shared = (folder / self._store.get("sign").decode()).exists()
            self.writes = self.local_rank == 0 and not shared
            yield

    def part(self, batch: int) -> slice:
        """Which rows of a batch are this process' own: as many as any other's, or one more.

        Raises InputError where there are fewer rows than processes.
        """
        if batch < self.size:
            raise InputError(
                f"{self.size} processes can't share batches of {counted(batch, 'image')}; start at most "
                f"{counted(batch, 'process')} (DEEPEN_LAUNCH), or take a larger batch_size"
            )
        least, more = divmod(batch, self.size)
        first = self.rank * least + min(self.rank, more)
        return slice(first, first + least + (self.rank < more))

    def averaging(self, network: nn.Module, device: torch.device) -> nn.Module:
        """The network, such that a backward pass leaves the mean of all processes' gradients in each."""
        if self.size == 1:
            return network
        with self.waiting():
            return DistributedDataParallel(network, device_ids=[device] if device.type == "cuda" else None)

    def sum(self, value: Tensor) -> Tensor:
        """The sum over all processes, which gradients flow through."""
        if self.size == 1:
            return value
        total: Tensor = _Sum.apply(value)
        return total

    def spread(self, tensors: Sequence[Tensor], owners: Sequence[int]) -> None:
        """Write into each of the tensors what the process that owns it has there."""
        if self.size > 1:
            sent = [
                distributed.broadcast(tensor, owner, async_op=True)
                for tensor, owner in zip(tensors, owners, strict=True)
            ]
            for work in filter(None, sent):
                work.wait()

    def largest(self, number: int) -> int:
        """The largest of all processes' numbers."""
        if self.size == 1:
            return number
        found = torch.tensor(number)
        with self.waiting():
            distributed.all_reduce(found, distributed.ReduceOp.MAX)
        return int(found)

    def of_first(self, value: T) -> T:
        """What the first process has for a value, in all of them."""
        if self.size == 1:
            return value
        found = [value]
        with self.waiting():
            distributed.broadcast_object_list(found)
        return found[0]

    def in_turn(self, mine: Sequence[T]) -> list[T]:
        """The items of all, in each: the first one's first, the second one's first, ..., the first one's second, ..."""
        if self.size == 1:
            return list(mine)
        found: list[Sequence[T]] = [()] * self.size
        with self.waiting():
            distributed.all_gather_object(found, mine)
        return [found[index % self.size][index // self.size] for index in range(sum(map(len, found)))]

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Turn what torch says where others don't answer into an InputError that names them."""
        try:
            yield
        except RuntimeError as error:
            if self.size == 1 or not any(sign in str(error).lower() for sign in ("gloo", "nccl")):
                raise
            raise InputError(
                f"{self._roll_call.silent()}: has ended, or did not answer within {PATIENCE.total_seconds():.0f} s; "
                "see what it said, or why it hangs, and run it again: it goes on from the last checkpoint"
            ) from error


class _Sum(torch.autograd.Function):
    """The sum over all processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: object, value: Tensor) -> Tensor:
        total = value.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        distributed.all_reduce(total)
        return total


ALONE = Group(alone=True)
