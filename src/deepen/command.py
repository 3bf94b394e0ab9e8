"""The `deepen` command: what people do with a ladder besides `dvc repro`."""

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from deepen.checkpoint import FOLDER, describe_checkpoint
from deepen.errors import InputError, some
from deepen.locking import holder


def main(words: Sequence[str] | None = None) -> None:
    """Run the command line's words, or these."""
    parser = argparse.ArgumentParser(prog="deepen", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    checkpoints = commands.add_parser(
        "checkpoints",
        help="list or clear what interrupted trainings left",
        description="List the trainings that were interrupted. Each goes on when dvc repro or dvc exp run comes to it "
        "with the same settings, images and code; a training that ends removes its own.",
    )
    checkpoints.add_argument("trainings", nargs="*", metavar="TRAINING", help="of these only, for example III-0f3a9c")
    checkpoints.add_argument("--clear", action="store_true", help="remove them, but those in use")
    checkpoints.add_argument("--project", type=Path, default=Path(), metavar="FOLDER", help="default: this folder")
    checkpoints.set_defaults(run=_checkpoints)
    options = parser.parse_args(words)
    try:
        options.run(options)
    except InputError as error:
        sys.exit("\n".join(f"error: {fault}" for fault in error.faults))


def _checkpoints(options: argparse.Namespace) -> None:
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
