"""The WEIGHTS argument of commands: check that the file exists, and warn about untrained weights."""

import argparse
import os
import sys
from pathlib import Path

from deepen.cli.arguments import parse_path
from deepen.core.errors import InputError, quote, trim
from deepen.core.names import SCRATCH
from deepen.core.nearest import suggest_name

_EXTENSION = ".safetensors"


def add_weights(parser: argparse.ArgumentParser) -> None:
    """Add the argument WEIGHTS."""
    parser.add_argument(
        "weights", type=parse_path, metavar="WEIGHTS", help="a weights file, for example weights/III.safetensors"
    )


def check_weights(path: Path) -> None:
    """Raise InputError if the file is missing, with the weights files that exist; warn if it is untrained."""
    if not os.path.lexists(path):
        raise InputError(f"{quote(path)}: no such file; {_list_weights(path)}")
    if real := find_start(path):
        fault = f"untrained weights, from which {quote(real.stem)} starts"
        print(f"warning: {quote(path)}: {fault}; trained ones are in weights/, not weights/init/", file=sys.stderr)


def find_start(path: Path) -> Path | None:
    """Return the path of a file, or of what it links to, if it is in weights/init/, where trainings start."""
    return next((real for real in (path.absolute(), path.resolve()) if real.parts[-3:-1] == ("weights", "init")), None)


def _list_weights(path: Path) -> str:
    """List the weights files beside a missing one, or in weights/, with the nearest name."""
    for folder in dict.fromkeys((path.parent, Path("weights"))):
        if names := sorted(file.stem for file in folder.glob(f"*{_EXTENSION}") if file.stem != SCRATCH):
            return (
                f"{quote(folder)}/ contains {', '.join(map(quote, trim(names)))}"
                + suggest_name(path.stem, names)
                + ("" if path.suffix == _EXTENSION else f"; add the extension {_EXTENSION}")
            )
    return "dvc repro makes weights/III.safetensors"
