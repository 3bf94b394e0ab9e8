"""A CUDA device without one: PyTorch's fake tensors, which have a device and a shape but no numbers.

An operation on tensors of different devices fails as it does on CUDA. What the host reads from the device, and what it
copies there from ordinary memory, is counted: the host would wait. The backward pass is not run.
"""

from contextlib import contextmanager
from functools import wraps
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

CUDA = torch.device("cuda", 0)
_NUMBERS = {
    Tensor.item: float,
    Tensor.__float__: float,
    Tensor.__int__: int,
    Tensor.__index__: int,
    Tensor.__bool__: bool,
}
_MOVES = (Tensor.to, Tensor.cpu, Tensor.cuda, Tensor.copy_)


class _Generator:
    """In place of torch.Generator: fake random numbers need no seed, but the right device."""

    def __init__(self, device="cpu"):
        self.device, self.seeds = torch.device(device), []

    def manual_seed(self, seed):
        self.seeds.append(seed)
        return self


class _Event:
    """In place of torch.cuda.Event; the device is always one event behind, so only the newest one makes the host wait."""

    newest = None

    def __init__(self, waits, **options):
        self._waits = waits

    def record(self, stream=None):
        _Event.newest = self

    def synchronize(self):
        if _Event.newest is self:
            self._waits.append("synchronize with the newest event")


class _Host(TorchFunctionMode):
    """Answers what the host reads, and lists in `waits` the calls for which it would wait."""

    def __init__(self):
        super().__init__()
        self.waits = []
        self._pinned = []  # tensors in page-locked memory

    def __torch_function__(self, function, types, arguments=(), options=None):
        options = dict(options or {})
        pinned = options.pop("pin_memory", False)
        if function is Tensor.backward:
            return _give_gradients(arguments[0].grad_fn)
        if function is torch._fused_sgd_ or "out_dtype" in options:  # these can't be faked
            return _require_one_device(arguments, options)
        if function is Tensor.is_pinned:
            memory = arguments[0].untyped_storage()._cdata
            return any(memory == tensor.untyped_storage()._cdata for tensor in self._pinned)
        if function in _NUMBERS or function in (Tensor.numpy, Tensor.tolist):
            return self._read(function, arguments[0])
        result = function(*arguments, **options)
        if function in (torch.tensor, torch.as_tensor) and result.device.type == "cuda":
            self.waits.append(f"{function.__name__} from cpu to cuda")
        if function in _MOVES:
            self._note_move(function, arguments, result, options)
        if function is Tensor.lt:
            result.truth = False  # every number that the host reads is 1, and no number is below another
        if pinned:
            self._pinned.append(result)
        return result

    def _read(self, function, tensor):
        if tensor.device.type == "cuda":
            self.waits.append(function.__name__)
        if function is Tensor.numpy:
            return np.zeros(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
        if function is Tensor.tolist:
            return np.zeros(tuple(tensor.shape)).tolist()
        return _NUMBERS[function](getattr(tensor, "truth", 1))

    def _note_move(self, function, arguments, result, options):
        source = arguments[1] if function is Tensor.copy_ else arguments[0]
        if source.device.type != result.device.type and not options.get("non_blocking"):
            self.waits.append(f"{function.__name__} from {source.device.type} to {result.device.type}")


def _without_generator(function):
    """Have a function that draws random numbers accept our generators, of the device of the result."""

    @wraps(function)
    def draw(*arguments, generator, **options):
        result = function(*arguments, **options)
        if generator.device.type != result.device.type:
            raise RuntimeError(f"Expected a {result.device.type!r} generator but found {generator.device.type!r}")
        return result

    return draw


def _give_gradients(end):
    """Give the parameters that a loss depends on a gradient: PyTorch's backward pass needs a real device."""
    found, left = set(), [end]
    while left:
        node = left.pop()
        if node is not None and node not in found:
            found.add(node)
            left += [before for before, _ in node.next_functions]
            if hasattr(node, "variable"):
                node.variable.grad = torch.empty_like(node.variable)


def _require_one_device(arguments, options):
    devices = {tensor.device for tensor in tree_leaves((arguments, options)) if isinstance(tensor, Tensor)}
    if len(devices) > 1:
        raise RuntimeError(f"tensors on several devices: {devices}")
    return options.get("out")


def _require_equal(one, other):
    """In place of torch.utils.swap_tensors: a fake parameter can't be changed, so it must be what it shall be."""
    assert (one.device, one.stride()) == (other.device, other.stride())


@contextmanager
def fake_cuda(monkeypatch):
    """Have tensors be fake, and a CUDA device available; yield the list of what the host would wait for."""
    monkeypatch.setattr(torch, "Generator", _Generator)
    for function in (torch.rand, torch.randint, torch.randn, torch.randperm):
        monkeypatch.setattr(torch, function.__name__, _without_generator(function))
    monkeypatch.setattr(torch.backends.cudnn, "enabled", False)  # some of its operations can't be faked
    monkeypatch.setattr(torch.utils, "swap_tensors", _require_equal)
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)  # autocast asks
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device=None: None)
    monkeypatch.setattr(torch.cuda, "default_generators", (_Generator("cuda"),))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(total_memory=2**34))
    with FakeTensorMode(allow_non_fake_inputs=True), _Host() as host:
        monkeypatch.setattr(torch.cuda, "Event", lambda **options: _Event(host.waits))
        yield host.waits
