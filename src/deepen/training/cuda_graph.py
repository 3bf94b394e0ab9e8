"""CUDA graphs: capture a training step once and replay it, one launch in place of a hundred."""

from collections.abc import Callable

import torch
from torch import Tensor

from deepen.core.errors import is_out_of_memory
from deepen.runtime.device import get_default_generator

_EAGER_STEPS = 3  # warm-up: libraries initialize themselves in the first steps, which a graph can't capture
_WARNING = (
    "a CUDA graph of the training step does not fit in memory ({cause}): training goes on without it, with the same "
    "result, but slower; lower batch_size or width to have room for it"
)
Step = Callable[[Tensor], Tensor]


class ReplayedStep:
    """Calls a step, a function of row numbers (batch,), on one CUDA device; replays a graph of it from the fourth call.

    The first calls run eagerly, and so do all others if the graph, which has memory of its own, does not fit. Every
    call runs one step. The tensors that the step reads and changes must keep their addresses, and it must not
    synchronize with the device. Each replay draws the random numbers that follow the current seeds of `generator` and
    CUDA's default generator. All calls must have the same step and the same shape of rows. The step is not stored: its
    owner usually holds this object, and the cycle would keep the memory of both.
    """

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator
        # One stream for all, on the device of the step: each stream reserves memory of its own.
        self._stream = torch.cuda.Stream(generator.device)  # type: ignore[no-untyped-call]
        self._calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._warning: str | None = None
        self._is_eager = False  # a graph does not fit in memory

    def __call__(self, step: Step, rows: Tensor) -> Tensor:
        """Return the result of `step` for these rows; the next call overwrites it."""
        self._calls += 1
        if self._calls > _EAGER_STEPS and self._graph is None and not self._is_eager:
            self._try_to_capture(step, rows)
        if self._graph is None:
            return self._run_on_side_stream(step, rows)
        self._rows.copy_(rows)
        self._graph.replay()
        return self._result

    def take_warning(self) -> str | None:
        """Return once why the steps run eagerly, if they do because no graph could be captured."""
        warning, self._warning = self._warning, None
        return warning

    def _run_on_side_stream(self, step: Step, rows: Tensor) -> Tensor:
        """Run a step eagerly, on the side stream: a capture requires that of the steps before it."""
        current = torch.cuda.current_stream(rows.device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            result = step(rows)
        current.wait_stream(self._stream)
        return result

    def _try_to_capture(self, step: Step, rows: Tensor) -> None:
        """Capture a graph; if it does not fit in memory, free what it took, and run all steps eagerly from here.

        A capture computes nothing, so this step can still run. Only the generators may have been advanced.
        """
        generators = (self._generator, get_default_generator(self._generator.device))
        states = [generator.get_state() for generator in generators]
        current = torch.cuda.current_stream(rows.device)
        try:
            self._graph = self._capture(step, rows)
            return
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            self._warning = _WARNING.format(cause=str(error).splitlines()[0][:200])
        # After the error, which holds the memory of the attempt.
        self._is_eager = True
        torch.cuda.set_stream(current)  # with an older PyTorch, a capture that fails as it ends leaves its own
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)
        torch.cuda.empty_cache()

    def _capture(self, step: Step, rows: Tensor) -> torch.cuda.CUDAGraph:
        self._rows = rows.clone()
        graph = torch.cuda.CUDAGraph()
        if torch.__version__ < "2.14":  # later versions register generators themselves, and warn of this call
            graph.register_generator_state(self._generator)
        # The thread that prefetches images may call CUDA meanwhile; that must not fail this capture.
        with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            self._result = step(self._rows)
        return graph
