"""CUDA streams emulated on the CPU: everything runs at once, and what no stream waits for is found.

Two streams run their operations in any order, unless one waits for the other. So an operation that reads what another
stream wrote, or overwrites what another stream uses, must come after a `wait_stream` that leads to it. Each stream knows
how many operations of every other stream it has waited for.
"""

from contextlib import contextmanager

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class RaceError(RuntimeError):
    """Two streams that use the same memory, of which neither waits for the other."""


class Stream:
    """In place of torch.cuda.Stream."""

    def __init__(self, device=None):
        self.device, self.done = device, 0
        self.known = {}  # by stream: how many of its operations come before the next one of this stream

    def wait_stream(self, other):
        for stream, done in [*other.known.items(), (other, other.done)]:
            self.known[stream] = max(done, self.known.get(stream, 0))

    def comes_after(self, stream, done):
        return stream is self or self.known.get(stream, 0) >= done


class Streams(TorchDispatchMode):
    """Watches all operations on tensors, of the stream that is current; `observes` can be switched off."""

    def __init__(self):
        super().__init__()
        self.device = "the device of the step"  # not the one that PyTorch takes where none is named
        self._defaults = {self.device: Stream(self.device)}
        self.stream, self.observes = self._defaults[self.device], True
        self._writes, self._reads = (
            {},
            {},
        )  # by storage: the last write (stream, its number), and reads {stream: number}

    def get_current(self, device=None):
        """In place of torch.cuda.current_stream, where another device is the current one."""
        return self.stream if device is not None else self._defaults.setdefault(None, Stream())

    def set_current(self, stream):
        self.stream = stream

    @contextmanager
    def use(self, stream):
        """In place of torch.cuda.stream."""
        before, self.stream = self.stream, stream
        try:
            yield
        finally:
            self.stream = before

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        options = options or {}
        given = _list_storages((arguments, options))
        result = function(*arguments, **options)
        if self.observes:
            self.stream.done += 1
            made = [storage for storage in _list_storages(result) if storage not in given]
            written = [*made, *_list_storages(_list_changed(function, arguments, options))]
            for storage in given:
                self._require_order(function, storage, storage in written)
            for storage in given:
                self._reads.setdefault(storage, {})[self.stream] = self.stream.done
            for storage in written:
                self._writes[storage], self._reads[storage] = (self.stream, self.stream.done), {}
        return result

    def _require_order(self, function, storage, writes):
        before = [self._writes[storage]] if storage in self._writes else []
        if writes:
            before += self._reads.get(storage, {}).items()
        if not all(self.stream.comes_after(*each) for each in before):
            raise RaceError(f"{function} uses memory of another stream, for which this one does not wait")


def _list_storages(tree):
    return [StorageWeakRef(leaf.untyped_storage()) for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _list_changed(function, arguments, options):
    """Return the arguments that an operation changes in place."""
    named = zip(function._schema.arguments, arguments, strict=False)
    pairs = [*named, *((each, options.get(each.name)) for each in function._schema.arguments)]
    return [value for argument, value in pairs if argument.alias_info is not None and argument.alias_info.is_write]


def emulate_streams(monkeypatch):
    """Have torch.cuda's streams be emulated, until the end of a test; return the Streams, a context to enter."""
    streams = Streams()
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", streams.get_current)
    monkeypatch.setattr(torch.cuda, "set_stream", streams.set_current)
    monkeypatch.setattr(torch.cuda, "stream", streams.use)
    return streams
