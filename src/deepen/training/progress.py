"""What people see while a model trains: a bar in a terminal, lines in a log file, and at the end a line a model."""

import os
import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Literal, Self, TextIO

from tqdm import tqdm

from deepen.core.counts import counted
from deepen.core.durations import format_duration
from deepen.core.notes import print_warnings
from deepen.records.history import Epoch
from deepen.training.loop import Progress

Verbosity = Literal["quiet", "normal", "verbose"]
_ROWS = 24  # of a terminal; more than a bar takes


class TrainingProgress:
    """A context that shows how far a model is and how much time is left, and at the end what came of it.

    `quiet` shows the end alone. `normal` shows a line for the start, which says `where` it trains, and then a bar in a
    terminal, elsewhere a line after each quarter of the epochs. `verbose` shows a line an epoch in both, with losses
    and learning rate. `to_follow` is how many times as much work as this model's training is left for the models that
    grow from it.
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
        self._before = self._step = 0  # steps of an earlier process, and all
        self._last: Epoch | None = None

    @property
    def callbacks(self) -> Progress:
        """What `train` is to call."""
        return Progress(self._started, self._stepped, self._ended, self._warn)

    def _started(self, steps: int, history: Sequence[Epoch]) -> None:
        self._before = self._step = steps
        self._last = history[-1] if history else None
        self._start = time.perf_counter()
        if self._verbosity != "quiet":
            self._print(f"{self._model}: {self._start_told(steps)}")
            if self._in_terminal:
                self._bar = _bar(self._described(len(history) + 1), steps, self._steps)

    def _start_told(self, steps: int) -> str:
        where = f" on {self._where}" if self._where else ""
        if steps:
            return f"going on after {steps:,} of {counted(self._steps, 'step')}{where}"
        return f"training for {counted(self._epochs, 'epoch')}{where}"

    def _described(self, epoch: int) -> str:
        return f"{self._model}, epoch {min(epoch, self._epochs)} of {self._epochs}"

    def _stepped(self) -> None:
        self._step += 1
        self._bar.update()

    def _ended(self, row: Epoch) -> None:
        self._last = row
        model_left, ladder_left = self._seconds_left()
        ladder = f", ladder {format_duration(ladder_left)}" if self._to_follow else ""
        self._bar.set_postfix_str(f"validation {row.val_top1:.2f} %{ladder}", refresh=False)
        self._bar.set_description_str(self._described(row.epoch + 1), refresh=False)
        start = f"{self._model}, epoch {row.epoch} of {self._epochs}: "
        if self._verbosity == "verbose":
            found = f"loss {row.loss:.3f}, val {row.val_loss:.3f}, top-1 {row.val_top1:.2f} %, lr {row.lr:.2g}"
            self._print(f"{start}{found}, {format_duration(model_left)} left")
        elif self._verbosity == "normal" and not self._in_terminal and row.epoch in self._quarters:
            self._print(f"{start}validation top-1 {row.val_top1:.2f} %, {format_duration(model_left)} left{ladder}")

    @property
    def _quarters(self) -> set[int]:
        """The epochs after which a quarter, a half and three quarters of them are done: the end has its own line."""
        return {-(-self._epochs * quarter // 4) for quarter in (1, 2, 3)} - {self._epochs}

    def _seconds_left(self) -> tuple[float, float]:
        """For this model, and for it and those to follow, at the pace so far."""
        seconds_a_step = (time.perf_counter() - self._start) / max(1, self._step - self._before)
        left = (self._steps - self._step) * seconds_a_step
        return left, left + self._to_follow * self._steps * seconds_a_step

    def _print(self, line: str) -> None:
        with tqdm.external_write_mode(file=sys.stdout):  # the bar makes way
            print(line, flush=True)

    def _warn(self, text: str) -> None:
        with tqdm.external_write_mode(file=sys.stderr):
            print_warnings([text])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
        if kind is None:
            seconds = time.perf_counter() - self._start
            done = self._step - self._before
            what = f"the last {counted(done, 'step')}" if self._before else counted(self._epochs, "epoch")
            rate = done * self._batch_size / seconds
            found = f"; validation top-1 {self._last.val_top1:.2f} %" if self._last else ""
            print(f"{self._model}: trained {what} in {seconds:.1f} s, {rate:,.0f} images/s{found}", flush=True)


def _bar(description: str, done: int, steps: int) -> "tqdm[Any]":
    bar = tqdm(
        desc=description,
        initial=done,
        total=steps,
        bar_format="{desc} {percentage:3.0f}%|{bar}| {remaining} left{postfix}",
        ncols=_screen(sys.stderr)[0],
        nrows=_ROWS,
        leave=False,
        colour=None if "NO_COLOR" in os.environ else "green",
    )
    # tqdm takes its own for a bool. For a terminal that says the size 0 that draws nothing, or without end.
    bar.dynamic_ncols = _screen  # type: ignore[assignment]
    return bar


def _screen(stream: TextIO) -> tuple[int, int]:
    """Columns and rows to draw in: those of the terminal, where it says them, or of COLUMNS, or 80; rows enough."""
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):  # no file, or no terminal
        columns = 0
    said = os.environ.get("COLUMNS", "")
    columns = columns or (int(said) if said.isdecimal() else 0) or 80
    return max(1, columns - 1), _ROWS  # some terminals begin a line after the last column
