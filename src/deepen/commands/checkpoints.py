"""`deepen checkpoints`: what interrupted trainings left."""

import argparse
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from deepen.errors import InputError, some
from deepen.locking import holder


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = commands.add_parser(
        "checkpoints",
        help="list or clear what interrupted trainings left",
        description="List the trainings that were interrupted. Each goes on when dvc repro or dvc exp run comes to it "
        "with the same settings, images and code; a training that ends removes its own.",
    )
    parser.add_argument("trainings", nargs="*", metavar="TRAINING", help="of these only, for example III-0f3a9c")
    parser.add_argument("--clear", action="store_true", help="remove them, but those in use")
    parser.add_argument("--project", type=Path, default=Path(), metavar="FOLDER", help="default: this folder")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from deepen.checkpoint import FOLDER

    folders = _trainings(options.project / FOLDER, options.trainings)
    if options.clear:
        for folder in folders:
            if (by := holder(folder.with_suffix(".lock"))) is not None:
                print(f"{folder.name}: in use by {by}; left")
            else:
                shutil.rmtree(folder)
                print(f"{folder.name}: cleared")
    elif folders:
        print(tabulate([_row(folder) for folder in folders], "keys"))
    else:
        print("no training was interrupted")


def _trainings(root: Path, wanted: Sequence[str]) -> list[Path]:
    found = {path.name: path for path in sorted(root.glob("*")) if path.is_dir()}
    if unknown := [name for name in wanted if name not in found]:
        listed = ", ".join(some(list(found))) or "none"
        raise InputError([f"{name} is none of the trainings in {root}: {listed}" for name in unknown])
    return [found[name] for name in wanted or found]


def _row(folder: Path) -> dict[str, str]:
    from deepen.checkpoint import describe_checkpoint

    files = sorted(folder.glob("*.safetensors"))
    row = {"training": folder.name, "steps": "", "epochs": "", "kept": "", "size": "", "in use by": ""}
    if files:
        newest = files[-1]
        row["kept"] = time.strftime("%Y-%m-%d %H:%M", time.localtime(newest.stat().st_mtime))
        row["size"] = f"{sum(file.stat().st_size for file in files) / 1e6:.1f} MB"
        try:
            position = describe_checkpoint(newest)
            row["steps"] = f"{position.step} of {position.steps}"
            row["epochs"] = f"{len(position.history)} of {position.epochs}"
        except InputError as error:
            row["steps"] = str(error).removeprefix(f"{newest}: ")
    row["in use by"] = holder(folder.with_suffix(".lock")) or ""
    return row
