"""CUDA graphs: capture a training step once and replay it, one launch in place of a hundred."""

from collections.abc import Callable

import torch
from torch import Tensor

_EAGER_STEPS = 3  # warm-up: libraries initialize themselves in the first steps, which a graph can't capture


class ReplayedStep:
    """Calls a step, a function of row numbers (batch,), on one CUDA device; replays a graph of it from the fourth call.

    The first calls run eagerly. Every call runs one step. The tensors that the step reads and changes must keep their
    addresses, and it must not synchronize with the device. Each replay draws the random numbers that follow the current
    seeds of `generator` and CUDA's default generator. All calls must have the same step and the same shape of rows.
    The step is not stored: its owner usually holds this object, and the cycle would keep the memory of both.
    """

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator
        # One stream for all, on the device of the step: each stream reserves memory of its own.
        self._stream = torch.cuda.Stream(generator.device)  # type: ignore[no-untyped-call]
        self._calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, step: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
        """Return the result of `step` for these rows; the next call overwrites it."""
        self._calls += 1
        if self._calls <= _EAGER_STEPS:
            return self._run_on_side_stream(step, rows)
        if self._graph is None:
            self._graph = self._capture(step, rows)
        self._rows.copy_(rows)
        self._graph.replay()
        return self._result

    def _run_on_side_stream(self, step: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
        """Run a warm-up step on the side stream, as graph capture requires."""
        current = torch.cuda.current_stream(rows.device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            result = step(rows)
        current.wait_stream(self._stream)
        return result

    def _capture(self, step: Callable[[Tensor], Tensor], rows: Tensor) -> torch.cuda.CUDAGraph:
        self._rows = rows.clone()
        graph = torch.cuda.CUDAGraph()
        if torch.__version__ < "2.14":  # later versions register generators themselves, and warn of this call
            graph.register_generator_state(self._generator)
        # The thread that prefetches images may call CUDA meanwhile; that must not fail this capture.
        with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            self._result = step(self._rows)
        return graph
