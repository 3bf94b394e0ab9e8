"""CUDA graphs: capture a training step once and replay it, one launch in place of a hundred."""

from collections.abc import Callable

import torch
from torch import Tensor

_EAGER_STEPS = 3  # warm-up: libraries initialize themselves in the first steps, which a graph can't capture


class ReplayedStep:
    """A function of row numbers (batch,) that runs on one CUDA device, replayed as a graph from the fourth call on.

    The first calls run eagerly. Every call runs one step. The tensors that `step` reads and changes must keep their
    addresses, and it must not synchronize with the device. Each replay draws the random numbers that follow the current
    seeds of `generator` and CUDA's default generator. All calls must have the same shape of rows.
    """

    def __init__(self, step: Callable[[Tensor], Tensor], generator: torch.Generator) -> None:
        self._step, self._generator = step, generator
        self._calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, rows: Tensor) -> Tensor:
        """Return the result of `step` for these rows; the next call overwrites it."""
        self._calls += 1
        if self._calls <= _EAGER_STEPS:
            return self._run_on_side_stream(rows)
        if self._graph is None:
            self._graph = self._capture(rows)
        self._rows.copy_(rows)
        self._graph.replay()
        return self._result

    def _run_on_side_stream(self, rows: Tensor) -> Tensor:
        """Run a warm-up step on a stream of its own, as graph capture requires."""
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            result = self._step(rows)
        torch.cuda.current_stream().wait_stream(stream)
        return result

    def _capture(self, rows: Tensor) -> torch.cuda.CUDAGraph:
        self._rows = rows.clone()
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self._generator)
        # The thread that prefetches images may allocate pinned memory meanwhile; that must not fail this capture.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self._result = self._step(self._rows)
        return graph
