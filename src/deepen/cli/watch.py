"""`deepen watch`: show the progress of running trainings in the terminal."""

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabulate import tabulate

from deepen.cli.arguments import add_command, add_project
from deepen.core.counts import pluralize
from deepen.core.durations import format_duration
from deepen.core.errors import quote

if TYPE_CHECKING:
    import psutil

    from deepen.experiments.running_stages import Stage
    from deepen.experiments.watching import Training
    from deepen.records.history import Epoch

_SECONDS = 2.0  # between two updates
_BARS = "▁▂▃▄▅▆▇█"
_NUMBERS = 6  # last epochs printed as numbers if bars can't be drawn
_IDLE = "no training is running"


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = add_command(
        commands,
        "watch",
        "show the progress of the running training",
        "Show each model in training, including experiments with --temp or on the queue: epoch, losses and "
        "validation top-1, and those of the models that it grew from. Between two trainings, show the running stage. "
        "A terminal is updated every two seconds until the run ends. Ctrl-C ends only this command.",
        ["deepen watch", "deepen watch --once"],
    )
    parser.add_argument(
        "--once", action="store_true", help="print once and exit, the default if the output is not a terminal"
    )
    add_project(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from deepen.experiments.watching import list_trainings

    in_terminal = sys.stdout.isatty()
    if options.once or not in_terminal:
        text = "\n\n".join(describe(each, in_terminal) for each in list_trainings(options.project))
        print(text or describe_idle(options.project))
        return
    with suppress(KeyboardInterrupt):
        _follow(options.project)


def _follow(project: Path) -> None:
    """Update the view until all runs that were seen have ended; wait for a run if there is none."""
    from deepen.experiments.running_stages import list_runs
    from deepen.experiments.watching import list_trainings

    runs: set[psutil.Process] = set()
    shown = 0
    while True:
        running = list_trainings(project)
        runs |= {each.run for each in running if each.run} | set(list_runs(project))
        is_running = bool(running) or any(run.is_running() for run in runs)
        if running:
            text = "\n\n".join(describe(each, True) for each in running)
        elif not is_running and runs:
            text = "the run has ended; see deepen results"
        else:
            text = describe_idle(project) + ("" if is_running else "; waiting for the next one")
        shown = _redraw(text, shown)
        if runs and not is_running:
            return
        time.sleep(_SECONDS)


def _redraw(text: str, shown: int) -> int:
    """Print a text over the last `shown` lines; return its number of lines."""
    width = shutil.get_terminal_size().columns
    lines = [line[: width - 1] for line in text.splitlines()]
    up = f"\033[{shown}A\033[J" if shown else ""
    print(up + "\n".join(lines), flush=True)
    return len(lines)


def describe_idle(project: Path) -> str:
    """Describe the running stage, or the last training, when no training is running."""
    from deepen.experiments.running_stages import list_running_stages, list_runs
    from deepen.experiments.watching import find_last_trained

    if running := list_running_stages(project):
        return f"{_IDLE}; " + ", ".join(map(_describe_stage, running))
    if list_runs(project):
        return f"{_IDLE}; dvc is between two stages"
    last = find_last_trained(project)
    if last is None or not last.epochs:
        return _IDLE
    epochs = pluralize(len(last.epochs), "epoch")
    return f"{_IDLE}; last: {quote(last.model)}, {epochs}, validation top-1 {last.epochs[-1].val_top1:.2f} %"


def _describe_stage(stage: "Stage") -> str:
    experiment = f" of experiment {quote(stage.experiment)}" if stage.experiment else ""
    return f"stage {stage.name}{f'@{stage.model}' * bool(stage.model)}{experiment} is running"


def describe(training: "Training", in_terminal: bool) -> str:
    """Describe a training's progress in lines that fit the terminal."""
    heading, epochs = _format_heading(training), training.epochs
    if not epochs and training.position is None:
        return heading
    curves = [*((each.model, each.epochs) for each in training.before), (training.model, epochs)]
    rows = [_format_row(model, each, len(each)) for model, each in curves]
    rows[-1]["epochs"] = _format_count(len(epochs), training.all_epochs)
    table = tabulate(rows, "keys", disable_numparse=True).splitlines()
    width = shutil.get_terminal_size().columns - max(map(len, table)) - 3
    table[0] += "  validation top-1"
    for at, curve in enumerate(_draw_curves([each for _, each in curves], width, in_terminal), 2):
        table[at] += "  " + curve
    return "\n".join([heading, *table])


def _format_heading(training: "Training") -> str:
    """Format the model, epoch, step and estimated time left."""
    position, done, total = training.position, len(training.epochs), training.all_epochs
    epoch = _format_count(done + 1 if total is None else min(done + 1, total), total)
    heading = f"experiment {quote(training.experiment)}, " if training.experiment else ""
    heading += f"{quote(training.model)}: epoch {epoch}"
    if position is None and not done:
        return f"{heading}, started {format_duration(training.age)} ago"
    step = f", step {position.step:,} of {position.steps:,}" if position else ""
    left = "" if training.left is None else f", about {format_duration(training.left)} left"
    return f"{heading}{step} as of {format_duration(training.age)} ago{left}"


def _format_count(count: int, total: int | None) -> str:
    return f"{count}" if total is None else f"{count} of {total}"


def _format_row(model: str, epochs: Sequence["Epoch"], total: int) -> dict[str, str]:
    row = {"model": quote(model), "epochs": _format_count(len(epochs), total), "top-1": "", "val loss": "", "loss": ""}
    if epochs:
        last = epochs[-1]
        row |= {"top-1": f"{last.val_top1:.2f}", "val loss": f"{last.val_loss:.3f}", "loss": f"{last.loss:.3f}"}
    return row


def _draw_curves(curves: Sequence[Sequence["Epoch"]], width: int, in_terminal: bool) -> list[str]:
    """Draw validation top-1 by epoch of each model on one scale: as bars if the terminal can, else as numbers."""
    values = [[row.val_top1 for row in epochs] for epochs in curves]
    if not in_terminal or not _can_print(_BARS):
        return [" ".join(f"{value:.0f}" for value in each[-_NUMBERS:]) for each in values]
    all_values = [value for each in values for value in each]
    low, high = min(all_values, default=0.0), max(all_values, default=0.0)
    return ["".join(_draw_bar(value, low, high) for value in _thin(each, max(8, width))) for each in values]


def _draw_bar(value: float, low: float, high: float) -> str:
    return _BARS[round((value - low) / (high - low) * (len(_BARS) - 1))] if high > low else _BARS[-1]


def _thin(values: Sequence[float], most: int) -> list[float]:
    """Return at most `most` of the values, evenly spaced, with the last one."""
    count = min(len(values), most)
    return [values[(at + 1) * len(values) // count - 1] for at in range(count)]


def _can_print(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeError:
        return False
    return True
