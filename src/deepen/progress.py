"""What people see while a model trains: a bar in a terminal, a line an epoch in a log file."""

import sys
import time
from types import TracebackType
from typing import Self

from tqdm import tqdm

from deepen.history import Epoch
from deepen.training import Progress


class TrainingProgress:
    """A context that shows epoch, loss, validation top-1 and the time left, and at the end how long it took."""

    def __init__(self, model: str, epochs: int, steps: int, batch_size: int) -> None:
        self._model, self._epochs, self._steps, self._batch_size = model, epochs, steps, batch_size
        self._in_terminal = sys.stderr.isatty()
        self._bar = tqdm(total=steps, unit="step", disable=not self._in_terminal, dynamic_ncols=True)
        self._before = self._step = 0  # steps of an earlier process, and all

    @property
    def callbacks(self) -> Progress:
        """What `train` is to call."""
        return Progress(self._started, self._stepped, self._ended)

    def _started(self, steps: int, epochs: int) -> None:
        self._before = self._step = self._bar.n = self._bar.initial = steps
        self._start = time.perf_counter()
        self._describe(epochs + 1)
        if steps:
            print(f"{self._model}: going on after {steps} of {self._steps} steps", flush=True)

    def _describe(self, epoch: int) -> None:
        self._bar.set_description(f"{self._model}, epoch {min(epoch, self._epochs)} of {self._epochs}", refresh=False)

    def _stepped(self) -> None:
        self._step += 1
        self._bar.update()

    def _ended(self, row: Epoch) -> None:
        self._bar.set_postfix({"loss": f"{row.loss:.3f}", "val top-1": f"{row.val_top1:.2f}"}, refresh=False)
        self._describe(row.epoch + 1)
        if not self._in_terminal:
            seconds_a_step = (time.perf_counter() - self._start) / max(1, self._step - self._before)
            print(
                f"{self._model}, epoch {row.epoch} of {self._epochs}: loss {row.loss:.3f}, "
                f"validation top-1 {row.val_top1:.2f} %, {(self._steps - self._step) * seconds_a_step:.0f} s left",
                flush=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
        if kind is None:
            seconds = time.perf_counter() - self._start
            what = f"{self._epochs} epochs" if not self._before else f"the last {self._step - self._before} steps"
            rate = (self._step - self._before) * self._batch_size / seconds
            print(f"{self._model}: trained {what} in {seconds:.1f} s, {rate:.0f} images/s", flush=True)
