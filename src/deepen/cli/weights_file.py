"""The weights file that a command is given: it must be there, and should be trained."""

import argparse
import os
import sys
from pathlib import Path

from deepen.core.errors import InputError, plain, some
from deepen.core.names import SCRATCH
from deepen.core.nearest import suggest_name

_ENDING = ".safetensors"


def add_weights(parser: argparse.ArgumentParser) -> None:
    """Add the argument that names it."""
    parser.add_argument("weights", type=Path, metavar="WEIGHTS", help="for example weights/III.safetensors")


def check_weights(path: Path) -> None:
    """Raise InputError, with the weights files that there are, for one that is missing; warn of an untrained one."""
    if not os.path.lexists(path):
        raise InputError(f"{plain(path)}: no such file; {_there(path)}")
    for real in (path.absolute(), path.resolve()):
        if real.parts[-3:-1] == ("weights", "init"):
            what = f"weights that {plain(real.stem)} starts from, before its training"
            print(f"warning: {plain(path)}: {what}; trained ones are in weights/, not weights/init/", file=sys.stderr)
            return


def _there(path: Path) -> str:
    """Which weights files there are where this one should be, or in weights/, and the nearest of them."""
    for folder in dict.fromkeys((path.parent, Path("weights"))):
        if names := sorted(file.stem for file in folder.glob(f"*{_ENDING}") if file.stem != SCRATCH):
            return (
                f"there {'is' if len(names) == 1 else 'are'} {', '.join(map(plain, some(names)))} in {plain(folder)}/"
                + suggest_name(path.stem, names)
                + ("" if path.suffix == _ENDING else f"; a name ends in {_ENDING}")
            )
    return "dvc repro makes weights/III.safetensors"
