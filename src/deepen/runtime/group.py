"""Distributed data-parallel training: this process' rank, its shard of a batch, and collective operations.

torchrun starts the processes (torch.distributed: NCCL between GPUs, Gloo between CPUs). Without torchrun the group has
one process, and every operation returns its input.
"""

import os
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from deepen.core.counts import pluralize
from deepen.core.errors import InputError
from deepen.core.files import make_write_error
from deepen.runtime.roll_call import RollCall, connect_to_store
from deepen.runtime.sum import Sum

T = TypeVar("T")
TIMEOUT = timedelta(minutes=5)  # of a collective operation
_START_TIMEOUT = timedelta(days=365)  # rank 0 may have to wait until another training ends


class Group:
    """The process group that torchrun started: this process has `rank`, from 0, of `size`; without it, 0 of 1.

    `writes` says whether this process writes the files: rank 0 does and, once it has joined, local rank 0 on each
    machine that does not share the folder of rank 0. `alone` ignores torchrun.
    """

    def __init__(self, *, alone: bool = False) -> None:
        started = not alone and distributed.is_torchelastic_launched()
        self.rank, self.size = (int(os.environ[key]) for key in ("RANK", "WORLD_SIZE")) if started else (0, 1)
        self.writes = self.rank == 0
        self._cpu: distributed.ProcessGroup | None = None  # for values on the CPU; None is the default group
        if self.size > 1:
            self._store = connect_to_store(self.rank)
            self._roll_call = RollCall(self._store, self.rank, self.size)

    @property
    def local_rank(self) -> int | None:
        """The rank among the processes of this machine; None if the group has one process."""
        return int(os.environ["LOCAL_RANK"]) if self.size > 1 else None

    @property
    def local_size(self) -> int:
        """The number of processes on this machine."""
        return int(os.environ["LOCAL_WORLD_SIZE"]) if self.size > 1 else 1

    @contextmanager
    def join(self, folder: Path, device: torch.device) -> Iterator[None]:
        """Initialize the process group for tensors on `device` in this context, once rank 0 has started.

        By `folder` each process finds out whether it shares files with rank 0.
        """
        if self.size == 1:
            yield
            return
        with self._detect_shared_folder(folder), self.reraise_lost_rank():
            self._roll_call.enter()
            self._initialize(device)
            self.all_reduce_max(0)  # a process that left now would end the others' attempts to connect to it
        yield
        distributed.destroy_process_group()  # not after an error: it would wait for processes that have ended

    @contextmanager
    def report_once(self) -> Iterator[None]:
        """Raise SystemExit in place of an InputError that another process of the group reports too."""
        try:
            yield
        except InputError as error:
            if self.size > 1 and self._roll_call.is_reported(str(error)):
                raise SystemExit(1) from error
            raise

    def _initialize(self, device: torch.device) -> None:
        """Initialize Gloo or, for a GPU, NCCL too; its longer timeout ends the process, after Gloo's named the rank."""
        cuda = device.type == "cuda"
        backend, timeout = ("cpu:gloo,cuda:nccl", 2 * TIMEOUT) if cuda else ("gloo", TIMEOUT)
        distributed.init_process_group(
            backend, store=self._store, rank=self.rank, world_size=self.size, timeout=timeout
        )
        if cuda:
            self._cpu = distributed.new_group(backend="gloo", timeout=TIMEOUT)  # type: ignore[assignment]

    @contextmanager
    def _detect_shared_folder(self, folder: Path) -> Iterator[None]:
        """Set `writes`, by a marker file of rank 0."""
        if self.rank == 0:
            marker = folder / f".{uuid.uuid4().hex}"
            try:
                folder.mkdir(parents=True, exist_ok=True)
                marker.touch()
            except OSError as error:
                raise make_write_error(folder, error) from error
            self._store.set("marker", marker.name)
            try:
                yield
            finally:
                marker.unlink()
        else:
            try:
                self._store.wait(["marker"], _START_TIMEOUT)
            except RuntimeError as error:  # rank 0 has ended, and reports why
                raise SystemExit(1) from error
            shared = (folder / self._store.get("marker").decode()).exists()
            self.writes = self.local_rank == 0 and not shared
            yield

    def shard(self, batch: int) -> slice:
        """Return the rows of a batch that this process takes; the shards differ in size by at most one row.

        Raises InputError if there are fewer rows than processes.
        """
        if batch < self.size:
            raise InputError(
                f"{self.size} processes can't share batches of {pluralize(batch, 'image')}; start at most "
                f"{pluralize(batch, 'process')} (DEEPEN_LAUNCH), or increase batch_size"
            )
        least, more = divmod(batch, self.size)
        first = self.rank * least + min(self.rank, more)
        return slice(first, first + least + (self.rank < more))

    def average_gradients(self, network: nn.Module, device: torch.device) -> nn.Module:
        """Wrap a network such that a backward pass averages gradients over all processes."""
        if self.size == 1:
            return network
        self.all_reduce_max(0)  # on the CPU: NCCL would wait for a missing rank and not name it
        with self.reraise_lost_rank():
            return DistributedDataParallel(network, device_ids=[device] if device.type == "cuda" else None)

    def all_reduce_sum(self, value: Tensor) -> Tensor:
        """Return the sum over all processes; gradients flow through it."""
        if self.size == 1:
            return value
        total: Tensor = Sum.apply(value)
        return total

    def broadcast(self, tensors: Sequence[Tensor], owners: Sequence[int]) -> None:
        """Overwrite each tensor with that of the rank that owns it."""
        if self.size > 1:
            pending = [
                distributed.broadcast(tensor, owner, async_op=True)
                for tensor, owner in zip(tensors, owners, strict=True)
            ]
            for work in filter(None, pending):
                work.wait()

    def all_reduce_max(self, number: int) -> int:
        """Return the maximum over all processes."""
        if self.size == 1:
            return number
        largest = torch.tensor(number)
        with self.reraise_lost_rank():
            distributed.all_reduce(largest, distributed.ReduceOp.MAX, group=self._cpu)
        return int(largest)

    def broadcast_from_rank0(self, value: T) -> T:
        """Return the value of rank 0."""
        if self.size == 1:
            return value
        values = [value]
        with self.reraise_lost_rank():
            distributed.broadcast_object_list(values, group=self._cpu)
        return values[0]

    def all_gather_interleaved(self, mine: Sequence[T]) -> list[T]:
        """Gather the items of all ranks, interleaved: rank 0's first item, rank 1's first, ..., rank 0's second, ..."""
        if self.size == 1:
            return list(mine)
        by_rank: list[Sequence[T]] = [()] * self.size
        with self.reraise_lost_rank():
            distributed.all_gather_object(by_rank, mine, group=self._cpu)
        return [by_rank[index % self.size][index // self.size] for index in range(sum(map(len, by_rank)))]

    @contextmanager
    def reraise_lost_rank(self) -> Iterator[None]:
        """Reraise an error between processes as an InputError that names the ranks that do not respond."""
        try:
            yield
        except RuntimeError as error:
            lost = isinstance(error, distributed.DistError) or re.search("gloo|nccl", str(error), re.IGNORECASE)
            if self.size == 1 or not lost:
                raise
            missing = self._roll_call.find_missing_ranks()
            raise InputError(
                f"{missing}: ended, or did not respond within {TIMEOUT.total_seconds():.0f} s; "
                "see its output, or why it hangs, and run it again: "
                "training resumes from its last checkpoint, if it has one"
            ) from error


SINGLE_PROCESS = Group(alone=True)
