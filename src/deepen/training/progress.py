"""Progress display of training: a progress bar in a terminal, lines in a log file, and a summary at the end."""

import os
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Literal, Self, TextIO

from tqdm import tqdm

from deepen.core.counts import pluralize
from deepen.core.durations import format_duration
from deepen.core.notes import print_warnings
from deepen.records.history import Epoch
from deepen.training.callback import Callback

Verbosity = Literal["quiet", "normal", "verbose"]
_ROWS = 24  # terminal rows; more than the bar needs


class TrainingProgress(Callback):
    """A callback and context manager that shows the progress of a training, the time left and, at the end, a summary.

    `quiet` prints the summary only. `normal` prints a line at the start, with the device (`where`). Then it shows a bar
    in a terminal, or prints a line after each quarter of the epochs in a log file. `verbose` prints a line per epoch in
    both, with losses and learning rate. `to_follow` is the work left for the models that grow from this one, relative
    to the work of this training.
    """

    def __init__(
        self,
        model: str,
        epochs: int,
        steps: int,
        batch_size: int,
        *,
        where: str = "",
        to_follow: float = 0.0,
        verbosity: Verbosity = "normal",
    ) -> None:
        self._model, self._epochs, self._steps, self._batch_size = model, epochs, steps, batch_size
        self._where, self._to_follow, self._verbosity = where, to_follow, verbosity
        self._in_terminal = sys.stderr.isatty()
        self._bar: tqdm[Any] = tqdm(disable=True)  # until the training starts
        self._resumed_at = self._step = 0  # steps done by an earlier process, and in all
        self._last: Epoch | None = None
        self._kept: Epoch | None = None

    def start(self, steps: int, history: Sequence[Epoch]) -> None:
        """Print the start, or where a training resumes, and show the bar."""
        self._resumed_at = self._step = steps
        self._last = history[-1] if history else None
        self._start_time = time.perf_counter()
        if self._verbosity != "quiet":
            self._print(f"{self._model}: {self._describe_start(steps)}")
            if self._in_terminal:
                self._bar = _make_bar(self._describe_epoch(len(history) + 1), steps, self._steps)

    def _describe_start(self, steps: int) -> str:
        where = f" on {self._where}" if self._where else ""
        if steps:
            return f"resuming after {steps:,} of {pluralize(self._steps, 'step')}{where}"
        return f"training for {pluralize(self._epochs, 'epoch')}{where}"

    def _describe_epoch(self, epoch: int) -> str:
        return f"{self._model}, epoch {min(epoch, self._epochs)} of {self._epochs}"

    def step(self) -> None:
        """Advance the bar."""
        self._step += 1
        self._bar.update()

    def epoch(self, row: Epoch) -> None:
        """Show the results of an epoch and the time left."""
        self._last = row
        model_left, ladder_left = self._estimate_seconds_left()
        ladder = f", ladder {format_duration(ladder_left)}" if self._to_follow else ""
        self._bar.set_postfix_str(f"validation {row.val_top1:.2f} %{ladder}", refresh=False)
        self._bar.set_description_str(self._describe_epoch(row.epoch + 1), refresh=False)
        start = f"{self._model}, epoch {row.epoch} of {self._epochs}: "
        if self._verbosity == "verbose":
            results = f"loss {row.loss:.3f}, val {row.val_loss:.3f}, top-1 {row.val_top1:.2f} %, lr {row.lr:.2g}"
            self._print(f"{start}{results}, {format_duration(model_left)} left")
        elif self._verbosity == "normal" and not self._in_terminal and row.epoch in self._quarters:
            self._print(f"{start}validation top-1 {row.val_top1:.2f} %, {format_duration(model_left)} left{ladder}")

    @property
    def _quarters(self) -> set[int]:
        """The epochs after which a quarter, a half and three quarters are done; the last epoch has a summary."""
        return {-(-self._epochs * quarter // 4) for quarter in (1, 2, 3)} - {self._epochs}

    def _estimate_seconds_left(self) -> tuple[float, float]:
        """Estimate the seconds left, at the pace so far: for this model, and including the models that grow from it."""
        seconds_per_step = (time.perf_counter() - self._start_time) / max(1, self._step - self._resumed_at)
        left = (self._steps - self._step) * seconds_per_step
        return left, left + self._to_follow * self._steps * seconds_per_step

    def _print(self, line: str) -> None:
        with tqdm.external_write_mode(file=sys.stdout):  # clears the bar meanwhile
            print(line, flush=True)

    def keep(self, row: Epoch) -> None:
        """Remember the epoch whose weights are the result, for the summary."""
        self._kept = row

    def warn(self, text: str) -> None:
        """Print a warning to standard error."""
        with tqdm.external_write_mode(file=sys.stderr):
            print_warnings([text])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
        if kind is None:
            seconds = time.perf_counter() - self._start_time
            done = self._step - self._resumed_at
            trained = f"the last {pluralize(done, 'step')}" if self._resumed_at else self._count_epochs()
            rate = done * self._batch_size / seconds
            result = self._describe_result()
            print(f"{self._model}: trained {trained} in {seconds:.1f} s, {rate:,.0f} images/s{result}", flush=True)

    def _count_epochs(self) -> str:
        return pluralize(self._last.epoch if self._last else self._epochs, "epoch")

    def _describe_result(self) -> str:
        if self._last is None:
            return ""
        if self._kept is None:
            return f"; validation top-1 {self._last.val_top1:.2f} %"
        early = self._last.epoch < self._epochs
        stopped = f"; stopped after epoch {self._last.epoch} of {self._epochs}" if early else ""
        return f"{stopped}; kept epoch {self._kept.epoch}, validation top-1 {self._kept.val_top1:.2f} %"


def _make_bar(description: str, done: int, steps: int) -> "tqdm[Any]":
    bar = tqdm(
        desc=description,
        initial=done,
        total=steps,
        bar_format="{desc} {percentage:3.0f}%|{bar}| {remaining} left{postfix}",
        ncols=_measure_screen(sys.stderr)[0],
        nrows=_ROWS,
        leave=False,
        colour=None if "NO_COLOR" in os.environ else "green",
    )
    # tqdm's own function draws nothing, or endlessly, in a terminal that reports a size of 0. It declares a bool here.
    bar.dynamic_ncols = _measure_screen  # type: ignore[assignment]
    return bar


def _measure_screen(stream: TextIO) -> tuple[int, int]:
    """Return the columns and rows to draw in: the terminal's columns, else those of COLUMNS, else 80; constant rows."""
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):  # not a file, or not a terminal
        columns = 0
    variable = os.environ.get("COLUMNS", "")
    columns = columns or (int(variable) if variable.isdecimal() else 0) or 80
    return max(1, columns - 1), _ROWS  # some terminals wrap the line at the last column
