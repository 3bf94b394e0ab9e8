"""`deepen exp`: dvc exp run, which takes settings as people write them."""

import argparse
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from deepen.cli.words import add_command
from deepen.core.errors import InputError
from deepen.core.notes import print_warnings


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = add_command(
        commands,
        "exp",
        "run an experiment: dvc exp run, settings checked first",
        "Run the ladder once more with some settings changed: dvc exp run, with the same options. Names and values of "
        "settings are checked before DVC starts, and put in quotes where Hydra's grammar needs them, so that a root "
        "may have blanks, accents and brackets. --changes has several settings, with blanks between them.",
        [
            "deepen exp --temp -S lr=0.01",
            "deepen exp --temp -S data=folder -S 'datasets.folder.root=/my photos'",
            "deepen exp --temp --changes 'depth=I lr=0.01' report",
        ],
        own_options=False,
    )
    parser.add_argument("options", nargs=argparse.REMAINDER, metavar="...", help="options of dvc exp run")
    parser.set_defaults(run=lambda options: _run(options.options, parser.format_help()))


def _run(options: Sequence[str], usage: str) -> None:
    if options[:1] in (["-h"], ["--help"]):
        print(usage)
    else:
        run_experiment(options)


def run_experiment(options: Sequence[str], ladder: Mapping[str, Any] | None = None) -> None:
    """Become `dvc exp run` with these options, and with a `ladder`, the content of a params.yaml, in place of the own.

    Returns only by raising InputError, with every fault of the options.
    """
    from deepen.experiments.overrides import quoted_options, replacement

    if shutil.which("dvc") is None:
        raise InputError("dvc: not available; source .venv/bin/activate first")
    words = list(quoted_options(options))
    _check(words, ladder)
    if {"--temp", "--queue"} & set(options):
        _check_cache()
    changes = [word for change in replacement(ladder or {}) for word in ("--set-param", change)]
    os.execvp("dvc", ["dvc", "exp", "run", *changes, *words])


def _check(words: Sequence[str], ladder: Mapping[str, Any] | None) -> None:
    """Raise InputError for what is wrong with options of `dvc exp run`; outside a project that is for DVC to say."""
    from deepen.cli.stages import name_faults, word_faults
    from deepen.core.yaml_reading import read_yaml
    from deepen.experiments.changes import MOST_COMBINATIONS, change_faults, combinations

    content = ladder or (read_yaml(Path("params.yaml")) if Path("params.yaml").is_file() else None)
    stages = read_yaml(Path("dvc.yaml")) if Path("dvc.yaml").is_file() else None
    if isinstance(content, dict) and isinstance(stages, dict):
        models = [str(name) for name in content.get("models") or ()]
        faults = [*name_faults(words, Path()), *word_faults(words, stages.get("stages") or {}, models)]
        changes = [value for flag, value in pairwise(words) if flag == "--set-param"]
        faults += change_faults(content, changes)
        if faults:
            raise InputError(faults)
        if (count := combinations(content, changes)) > MOST_COMBINATIONS:
            print_warnings(
                [f"{count:,} combinations; of these the settings of the first {MOST_COMBINATIONS} were checked"]
            )


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
