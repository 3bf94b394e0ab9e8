"""`deepen watch`: how far what trains now is, in the terminal."""

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabulate import tabulate

from deepen.cli.words import add_command, add_project
from deepen.core.counts import counted
from deepen.core.durations import format_duration
from deepen.core.errors import plain

if TYPE_CHECKING:
    import psutil

    from deepen.records.history import Epoch
    from deepen.training.at_work import Stage
    from deepen.training.watching import Training

_SECONDS = 2.0  # between two looks
_BARS = "▁▂▃▄▅▆▇█"
_NUMBERS = 6  # of the last epochs, where there are no bars
_NOTHING = "no training runs now"


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = add_command(
        commands,
        "watch",
        "how far the training is that runs now",
        "Show each model that trains now, also in an experiment with --temp or on the queue: its epoch, losses and "
        "validation top-1, and those of the models that it grew from; between two trainings, which stage runs. In a "
        "terminal the view is renewed every two seconds until the run ends; Ctrl-C ends this command alone.",
        ["deepen watch", "deepen watch --once"],
    )
    parser.add_argument("--once", action="store_true", help="print it once, as where the output is not a terminal")
    add_project(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from deepen.training.watching import trainings

    in_terminal = sys.stdout.isatty()
    if options.once or not in_terminal:
        told = "\n\n".join(described(each, in_terminal) for each in trainings(options.project))
        print(told or without_training(options.project))
        return
    with suppress(KeyboardInterrupt):
        _follow(options.project)


def _follow(project: Path) -> None:
    """Renew what is shown until the runs that were seen have ended; wait for one where there is none."""
    from deepen.training.at_work import runs as runs_now
    from deepen.training.watching import trainings

    runs: set[psutil.Process] = set()
    shown = 0
    while True:
        found = trainings(project)
        runs |= {each.run for each in found if each.run} | set(runs_now(project))
        going_on = bool(found) or any(run.is_running() for run in runs)
        if found:
            text = "\n\n".join(described(each, True) for each in found)
        elif not going_on and runs:
            text = "the run has ended; deepen results shows what came of it"
        else:
            text = without_training(project) + ("" if going_on else "; waiting for the next")
        shown = _renew(text, shown)
        if runs and not going_on:
            return
        time.sleep(_SECONDS)


def _renew(text: str, shown: int) -> int:
    """Print a text in the place of the `shown` lines before; returns how many lines it has."""
    width = shutil.get_terminal_size().columns
    lines = [line[: width - 1] for line in text.splitlines()]
    up = f"\033[{shown}A\033[J" if shown else ""
    print(up + "\n".join(lines), flush=True)
    return len(lines)


def without_training(project: Path) -> str:
    """What runs, or ran last, where nothing trains."""
    from deepen.training.at_work import runs, stages
    from deepen.training.watching import last_trained

    if found := stages(project):
        return f"{_NOTHING}; " + ", ".join(map(_stage_told, found))
    if runs(project):
        return f"{_NOTHING}; dvc is between two stages"
    last = last_trained(project)
    if last is None or not last.epochs:
        return _NOTHING
    epochs = counted(len(last.epochs), "epoch")
    return f"{_NOTHING}; last: {plain(last.model)}, {epochs}, validation top-1 {last.epochs[-1].val_top1:.2f} %"


def _stage_told(stage: "Stage") -> str:
    of = f" of experiment {plain(stage.experiment)}" if stage.experiment else ""
    return f"stage {stage.name}{f'@{stage.model}' * bool(stage.model)}{of} runs"


def described(training: "Training", in_terminal: bool) -> str:
    """What is known of a training, in lines that fit the terminal."""
    head, epochs = _head(training), training.epochs
    if not epochs and training.position is None:
        return head
    curves = [*((each.model, each.epochs) for each in training.before), (training.model, epochs)]
    rows = [_row(model, each, len(each)) for model, each in curves]
    rows[-1]["epochs"] = _of(len(epochs), training.all_epochs)
    table = tabulate(rows, "keys", disable_numparse=True).splitlines()
    room = shutil.get_terminal_size().columns - max(map(len, table)) - 3
    table[0] += "  validation top-1"
    for at, drawn in enumerate(_drawn([each for _, each in curves], room, in_terminal), 2):
        table[at] += "  " + drawn
    return "\n".join([head, *table])


def _head(training: "Training") -> str:
    """Which model trains, in which epoch, and about how long it takes."""
    position, done, of = training.position, len(training.epochs), training.all_epochs
    head = f"experiment {plain(training.experiment)}, " if training.experiment else ""
    head += f"{plain(training.model)}: epoch {_of(done + 1 if of is None else min(done + 1, of), of)}"
    if position is None and not done:
        return f"{head}, began {format_duration(training.age)} ago"
    step = f", step {position.step:,} of {position.steps:,}" if position else ""
    left = "" if training.left is None else f", about {format_duration(training.left)} left"
    return f"{head}{step} as of {format_duration(training.age)} ago{left}"


def _of(count: int, of: int | None) -> str:
    return f"{count}" if of is None else f"{count} of {of}"


def _row(model: str, epochs: Sequence["Epoch"], of: int) -> dict[str, str]:
    row = {"model": plain(model), "epochs": _of(len(epochs), of), "top-1": "", "val loss": "", "loss": ""}
    if epochs:
        last = epochs[-1]
        row |= {"top-1": f"{last.val_top1:.2f}", "val loss": f"{last.val_loss:.3f}", "loss": f"{last.loss:.3f}"}
    return row


def _drawn(curves: Sequence[Sequence["Epoch"]], room: int, in_terminal: bool) -> list[str]:
    """Validation top-1 by epoch of each model, on one scale: as bars in a terminal that has them, else as numbers."""
    values = [[row.val_top1 for row in epochs] for epochs in curves]
    if not in_terminal or not _can_print(_BARS):
        return [" ".join(f"{value:.0f}" for value in each[-_NUMBERS:]) for each in values]
    every = [value for each in values for value in each]
    low, high = min(every, default=0.0), max(every, default=0.0)
    return ["".join(_bar(value, low, high) for value in _thinned(each, max(8, room))) for each in values]


def _bar(value: float, low: float, high: float) -> str:
    return _BARS[round((value - low) / (high - low) * (len(_BARS) - 1))] if high > low else _BARS[-1]


def _thinned(values: Sequence[float], most: int) -> list[float]:
    """At most so many of them, evenly, the last one among them."""
    count = min(len(values), most)
    return [values[(at + 1) * len(values) // count - 1] for at in range(count)]


def _can_print(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeError:
        return False
    return True
