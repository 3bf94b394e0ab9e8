"""`deepen exp`: run `dvc exp run` after checking and quoting its settings."""

import argparse
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from deepen.cli.arguments import add_command
from deepen.core.errors import InputError
from deepen.core.notes import print_warnings


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = add_command(
        commands,
        "exp",
        "run an experiment: dvc exp run with checked settings",
        "Run the ladder again with some settings changed: dvc exp run, with the same options. Names and values of "
        "settings are checked before DVC starts, and quoted if Hydra's grammar needs it, so a root may contain "
        "spaces, accents and brackets. --changes takes several settings, separated by spaces.",
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
    """Replace this process by `dvc exp run` with these options.

    `ladder` is the content of a params.yaml to use in place of the project's. Raises InputError with all faults of the
    options.
    """
    from deepen.experiments.overrides import make_overrides, quote_options

    if shutil.which("dvc") is None:
        raise InputError("dvc: not available; source .venv/bin/activate first")
    arguments = list(quote_options(options))
    _check_arguments(arguments, ladder)
    if {"--temp", "--queue"} & set(options):
        _check_cache()
    changes = [argument for change in make_overrides(ladder or {}) for argument in ("--set-param", change)]
    os.execvp("dvc", ["dvc", "exp", "run", *changes, *arguments])


def _check_arguments(arguments: Sequence[str], ladder: Mapping[str, Any] | None) -> None:
    """Raise InputError with all invalid arguments of `dvc exp run`; outside a project, leave them to DVC."""
    from deepen.cli.stages import find_argument_faults, find_name_faults
    from deepen.core.yaml_reading import read_yaml
    from deepen.experiments.changes import MOST_COMBINATIONS, count_combinations, find_change_faults

    content = ladder or (read_yaml(Path("params.yaml")) if Path("params.yaml").is_file() else None)
    stages = read_yaml(Path("dvc.yaml")) if Path("dvc.yaml").is_file() else None
    if isinstance(content, dict) and isinstance(stages, dict):
        models = [str(name) for name in content.get("models") or ()]
        faults = [
            *find_name_faults(arguments, Path()),
            *find_argument_faults(arguments, stages.get("stages") or {}, models),
        ]
        changes = [value for flag, value in pairwise(arguments) if flag == "--set-param"]
        faults += find_change_faults(content, changes)
        if faults:
            raise InputError(faults)
        if (count := count_combinations(content, changes)) > MOST_COMBINATIONS:
            print_warnings([f"{count:,} combinations; the settings of only the first {MOST_COMBINATIONS} were checked"])


def _check_cache() -> None:
    """Raise InputError if the cache's path is not ASCII: DVC can't write it into the copy it runs in."""
    if str(Path.cwd()).isascii():
        return
    process = subprocess.run(["dvc", "cache", "dir"], capture_output=True, text=True)
    if process.returncode == 0 and not process.stdout.isascii():
        raise InputError(
            f"{process.stdout.strip()}: the path of DVC's cache must be ASCII for --temp and --queue; "
            "run for example dvc cache dir --local /srv/dvc-cache, or move the project"
        )
