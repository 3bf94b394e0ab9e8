"""`deepen checkpoints`: list or remove the checkpoints of interrupted trainings."""

import argparse
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from deepen.cli.arguments import add_command, add_project
from deepen.core.errors import InputError, quote, trim
from deepen.core.nearest import suggest_name
from deepen.runtime.lock import read_lock_holder


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = add_command(
        commands,
        "checkpoints",
        "list or remove checkpoints of interrupted trainings",
        "List the checkpoints of interrupted trainings. dvc repro and dvc exp run resume a training that has the same "
        "settings, images and code. A training that ends removes its checkpoints.",
        ["deepen checkpoints", "deepen checkpoints --clear"],
    )
    parser.add_argument("trainings", nargs="*", metavar="TRAINING", help="only these trainings, for example III-0f3a9c")
    parser.add_argument("--clear", action="store_true", help="remove checkpoints that are not in use")
    add_project(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from deepen.training.position import FOLDER

    folders = _list_trainings(options.project / FOLDER, options.trainings)
    if options.clear:
        for folder in folders:
            print(f"{quote(folder.name)}: {_clear(folder)}")
    elif folders:
        print(tabulate([_describe_training(folder) for folder in folders], "keys"))
        for folder in folders:
            if (holder := read_lock_holder(folder.with_suffix(".lock"))) is not None:
                print(f"{quote(folder.name)} is in use by {holder}")
    else:
        print("no interrupted trainings")


def _clear(folder: Path) -> str:
    """Remove a training's folder unless it is in use; remove symbolic links, not their targets."""
    if (holder := read_lock_holder(folder.with_suffix(".lock"))) is not None:
        return f"in use by {holder}; kept"
    try:
        folder.unlink() if folder.is_symlink() else shutil.rmtree(folder)
    except OSError as error:
        fault = f"can't be removed ({error.strerror}); make it and its folder writable, and run it again"
        raise InputError(f"{quote(folder)}: {fault}") from error
    return "cleared"


def _list_trainings(root: Path, wanted: Sequence[str]) -> list[Path]:
    if root.is_symlink():
        raise InputError(
            f"{quote(root)}: is a symbolic link to {quote(root.resolve())}; remove the link, or clear that folder"
        )
    trainings = {path.name: path for path in sorted(root.glob("*")) if path.is_dir()}
    if unknown := [name for name in wanted if name not in trainings]:
        rule = f"use one of {', '.join(map(quote, trim(list(trainings))))}" if trainings else "it has no checkpoints"
        raise InputError(
            [f"{quote(name)}: unknown training in {root}; {rule}" + suggest_name(name, trainings) for name in unknown]
        )
    return [trainings[name] for name in wanted or trainings]


def _describe_training(folder: Path) -> dict[str, str]:
    from deepen.training.position import describe_checkpoint

    files = sorted(folder.glob("*.safetensors"))
    row = {"training": quote(folder.name), "steps": "", "epochs": "", "kept": "", "size": ""}
    if files:
        newest = files[-1]
        row["kept"] = time.strftime("%Y-%m-%d %H:%M", time.localtime(newest.stat().st_mtime))
        row["size"] = f"{sum(file.stat().st_size for file in files) / 1e6:.1f} MB"
        try:
            position = describe_checkpoint(newest)
            row["steps"] = f"{position.step} of {position.steps}"
            row["epochs"] = f"{len(position.history)} of {position.epochs}"
        except InputError as error:
            row["steps"] = quote(error).removeprefix(f"{newest}: ")
    return row
