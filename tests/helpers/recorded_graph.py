"""CUDA graphs emulated on the CPU, with real numbers, in place of those of torch.cuda.

A recording keeps each operation on tensors, and undoes all of them at its end. A replay runs them again, from and into
the same memory. As on a GPU, Python does not run at a replay: what a step does besides operations on tensors is done
once, and a number that it passes to an operation stays what it was. A step that reads a tensor's value is refused.
"""

from contextlib import contextmanager, nullcontext

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten
_READS = {aten._local_scalar_dense.default, aten.nonzero.default, aten.equal.default}


class Recording(TorchDispatchMode):
    """Runs and keeps operations; knows the memory that was there before."""

    def __init__(self):
        super().__init__()
        self.operations, self._made, self._before = [], set(), {}
        self._generators = {}

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if operation in _READS:
            raise RuntimeError(f"{operation} is not permitted when stream is capturing")
        self._keep(args, kwargs)
        results = operation(*args, **kwargs)
        self.operations.append((operation, args, kwargs, results))
        self._made |= storages(results).keys() - self._before.keys()
        return results

    def _keep(self, args, kwargs):
        """Copy what an operation may overwrite: memory from before the recording, and generators."""
        for address, storage in storages((args, kwargs)).items():
            if address not in self._made and address not in self._before:
                self._before[address] = (storage, storage.clone())
        for generator in (torch.default_generator, kwargs.get("generator")):
            if generator is not None and id(generator) not in self._generators:
                self._generators[id(generator)] = (generator, generator.get_state())

    def undo(self):
        for storage, content in self._before.values():
            storage.copy_(content)
        for generator, state in self._generators.values():
            generator.set_state(state)


class Graph:
    """As torch.cuda.CUDAGraph."""

    def __init__(self):
        self.replays, self.generators, self.recording = 0, [], None

    def register_generator_state(self, generator):
        self.generators.append(generator)

    @torch.no_grad()
    def replay(self):
        self.replays += 1
        for operation, args, kwargs, results in self.recording.operations:
            again = operation(*args, **kwargs)
            there = storages((args, kwargs))
            for result, new in zip(tree_leaves(results), tree_leaves(again), strict=True):
                if isinstance(result, torch.Tensor) and result.untyped_storage()._cdata not in there:
                    result.copy_(new)


class Stream:
    def __init__(self, device=None):
        self.device = device

    def wait_stream(self, other):
        pass


def storages(values):
    """The memory of all tensors among `values`, by address."""
    tensors = (leaf for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor))
    return {storage._cdata: storage for storage in (tensor.untyped_storage() for tensor in tensors)}


def emulate(monkeypatch):
    """Emulate graphs in place of torch.cuda's; return a list of those recorded from now on, with their streams."""
    made = []

    @contextmanager
    def record(graph, stream, **options):
        made.append((graph, stream))
        graph.recording = Recording()
        with graph.recording:
            yield
        graph.recording.undo()

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", record)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    return made
