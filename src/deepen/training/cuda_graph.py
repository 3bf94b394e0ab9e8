"""A training step recorded once as a CUDA graph and replayed: one launch in place of a hundred."""

from collections.abc import Callable

import torch
from torch import Tensor

_EAGER_STEPS = 3  # what libraries set up, they set up in the first steps, which a graph can't hold


class ReplayedStep:
    """A function of row numbers (batch,) that does all its work on one CUDA device, as a graph from the fourth call on.

    The first calls run as they are; every call does its step once. What `step` reads and changes must stay where it is
    in memory, and it must not wait for the device. Each replay draws the numbers that follow the seeds which
    `generator` and CUDA's default generator then have. Only one shape of rows is possible.
    """

    def __init__(self, step: Callable[[Tensor], Tensor], generator: torch.Generator) -> None:
        self._step, self._generator = step, generator
        self._calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, rows: Tensor) -> Tensor:
        """What `step` returns for these rows; the next call overwrites it."""
        self._calls += 1
        if self._calls <= _EAGER_STEPS:
            return self._on_a_side_stream(rows)
        if self._graph is None:
            self._graph = self._record(rows)
        self._rows.copy_(rows)
        self._graph.replay()
        return self._result

    def _on_a_side_stream(self, rows: Tensor) -> Tensor:
        """Recording needs what the first steps set up to belong to no graph's stream."""
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            result = self._step(rows)
        torch.cuda.current_stream().wait_stream(stream)
        return result

    def _record(self, rows: Tensor) -> torch.cuda.CUDAGraph:
        self._rows = rows.clone()
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self._generator)
        # Another thread may take pinned memory meanwhile, for images to come: that is no fault of this one.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self._result = self._step(self._rows)
        return graph
