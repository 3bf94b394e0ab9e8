"""A CUDA graph emulated on the CPU, with real numbers: a step's operations are recorded, undone, and replayed.

Operations are seen below autograd and autocast, so a backward pass is recorded as its operations. Each replay repeats
them on the tensors that they had when they were recorded. Python does not run again: whatever a step does besides tensor
operations happens once, and a tensor that it replaces stays the old one.
"""

import threading
from contextlib import contextmanager, nullcontext

import torch
from emulated_streams import emulate_streams
from torch import Generator, Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_READS = (torch.Tensor.tolist, torch.Tensor.numpy, torch.Tensor.__array__)  # these call no operation on a CPU
_INDEXING = (torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default, torch.ops.aten._unsafe_index.Tensor)


class CaptureError(RuntimeError):
    """What a CUDA device refuses while a graph is captured."""


class EmulatedGraph:
    """In place of torch.cuda.CUDAGraph."""

    def __init__(self):
        self.operations = []  # (function, arguments, keyword arguments, result)
        self.replays, self.generators = 0, []

    def register_generator_state(self, generator):
        self.generators.append(generator)

    def replay(self):
        """Repeat the operations; their results go to where they were when they were recorded."""
        self.replays += 1
        with torch.no_grad():
            for function, arguments, options, result in self.operations:
                again = function(*arguments, **options)
                given = {get_address(tensor) for tensor in find(Tensor, (arguments, options))}
                for old, new in zip(find(Tensor, result), find(Tensor, again), strict=True):
                    if old is not new and get_address(old) not in given:  # views and changes in place are there already
                        old.copy_(new)


class Recorder(TorchDispatchMode):
    """Records each operation in a graph, and can undo all of them."""

    def __init__(self, graph):
        super().__init__()
        self._graph = graph
        self._made = {}  # storages that the operations made, by address; kept, so that no address is used again
        self._before = {}  # the other storages by address, each with a copy of its first content
        self._states = {torch.default_generator: torch.default_generator.get_state()}

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        options = options or {}
        given = find(Tensor, (arguments, options))
        refuse_reads(function, given)
        for tensor in given:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in self._made:
                self._before.setdefault(storage.data_ptr(), (storage, storage.clone()))
        for generator in find(Generator, (arguments, options)):
            self._states.setdefault(generator, generator.get_state())
        result = function(*arguments, **options)
        self._graph.operations.append((function, arguments, options, result))
        for tensor in find(Tensor, result):
            if get_address(tensor) not in self._before:
                self._made[get_address(tensor)] = tensor.untyped_storage()
        return result

    def undo(self):
        """Put back the content of all tensors, and the states of the generators: a capture computes nothing."""
        for storage, content in self._before.values():
            storage.copy_(content)
        for generator, state in self._states.items():
            generator.set_state(state)


def refuse_reads(function, given):
    """Raise CaptureError for an operation whose result the host needs to know, or that copies from the host."""
    masks = any(tensor.dtype in (torch.bool, torch.uint8) for tensor in given[1:])
    shaped = torch.Tag.dynamic_output_shape in function.tags and (function not in _INDEXING or masks)
    if shaped or torch.Tag.data_dependent_output in function.tags:
        raise CaptureError(f"{function} is not permitted when stream is capturing: the host would wait for the device")
    if function is torch.ops.aten.lift_fresh.default:
        raise CaptureError("a copy from the host is not permitted when stream is capturing")


class _NoReads(torch.overrides.TorchFunctionMode):
    """Refuses the reads that call no operation."""

    def __torch_function__(self, function, types, arguments=(), options=None):
        if function in _READS:
            raise CaptureError(
                f"{function.__name__} is not permitted when stream is capturing: the host would wait for the device"
            )
        return function(*arguments, **(options or {}))


class Capture:
    """The threads that may not allocate memory, wait for an event and the like while a graph is captured."""

    refused = ()  # None is any thread

    def check_call(self):
        """Raise CaptureError if this thread may not call such a function now."""
        if {None, threading.get_ident()} & set(self.refused):
            raise CaptureError("operation not permitted when stream is capturing")


class Event:
    """In place of torch.cuda.Event."""

    def __init__(self, capture):
        self._capture = capture

    def synchronize(self):
        self._capture.check_call()


@contextmanager
def emulate(monkeypatch, watched=False):
    """Have torch.cuda record and replay on the CPU; yield a list of each (graph, stream) recorded from now on.

    If it is `watched`, a stream that does not wait for another is found; that takes time.
    """
    made, streams, capture = [], emulate_streams(monkeypatch), Capture()

    @contextmanager
    def record(graph, stream, capture_error_mode="global"):
        made.append((graph, stream))
        recorder = Recorder(graph)
        capture.refused = {"global": [None], "thread_local": [threading.get_ident()], "relaxed": []}[capture_error_mode]
        before, streams.observes = streams.observes, False  # a capture computes nothing
        try:
            with streams.use(stream), _NoReads(), recorder:
                yield
        finally:
            capture.refused = ()
            recorder.undo()
            streams.observes = before

    monkeypatch.setattr(torch.cuda, "CUDAGraph", EmulatedGraph)
    monkeypatch.setattr(torch.cuda, "graph", record)
    monkeypatch.setattr(torch.cuda, "Event", lambda **options: Event(capture))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    with streams if watched else nullcontext():
        yield made


def find(kind, tree):
    """Return the leaves of nested arguments that are of this type."""
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, kind)]


def get_address(tensor):
    """Return the address of a tensor's memory."""
    return tensor.untyped_storage().data_ptr()
