"""`deepen exp`: dvc exp run, which takes settings as people write them."""

import argparse
import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from deepen.errors import InputError


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = commands.add_parser(
        "exp",
        help="run an experiment, with settings as they are",
        description="Run dvc exp run with the same options. Values of -S are put in quotes where Hydra's grammar needs "
        "them, so that a root may have blanks, accents and brackets. --changes has several, with blanks between them.",
        epilog="example: deepen exp --temp -S 'datasets.folder.root=/photos (1)'",
        prefix_chars="\0",  # no word is an option of this command: all are dvc's
        add_help=False,
    )
    parser.add_argument("options", nargs=argparse.REMAINDER, metavar="...", help="options of dvc exp run")
    parser.set_defaults(run=lambda options: _run(options.options, parser.format_help()))


def _run(options: Sequence[str], usage: str) -> None:
    if options[:1] in (["-h"], ["--help"]):
        print(usage)
    else:
        run_experiment(options)


def run_experiment(options: Sequence[str], changes: Iterable[str] = ()) -> None:
    """Become `dvc exp run` with these changes and options; returns only by raising InputError."""
    from deepen.overrides import quoted_options

    if shutil.which("dvc") is None:
        raise InputError("dvc: not available; source .venv/bin/activate first")
    if {"--temp", "--queue"} & set(options):
        _check_cache()
    words = [word for change in changes for word in ("--set-param", change)]
    os.execvp("dvc", ["dvc", "exp", "run", *words, *quoted_options(options)])


def _check_cache() -> None:
    """DVC writes the path of its cache into the copy that it works in, and can write ASCII alone."""
    if str(Path.cwd()).isascii():
        return
    found = subprocess.run(["dvc", "cache", "dir"], capture_output=True, text=True)
    if found.returncode == 0 and not found.stdout.isascii():
        raise InputError(
            f"{found.stdout.strip()}: DVC's cache must have a path in ASCII for --temp and --queue; "
            "write for example dvc cache dir --local /srv/dvc-cache, or move the project"
        )
