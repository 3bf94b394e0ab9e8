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
from deepen.cli.project_folder import require_project
from deepen.core.errors import InputError
from deepen.core.notes import print_warnings

_RESTORE = "run git restore dvc.yaml"


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
    require_project(Path(), has_option=False)
    arguments = list(quote_options(options))
    params = _read_mapping(Path("params.yaml"), "write for example data: digits")
    _check_arguments(arguments, ladder or params)
    if {"--temp", "--queue"} & set(options):
        require_ascii_cache()
    changes = [argument for change in make_overrides(ladder or {}, params) for argument in ("--set-param", change)]
    os.execvp("dvc", ["dvc", "exp", "run", *changes, *arguments])


def read_stages(project: Path) -> Mapping[str, Any]:
    """Return the stages of a project's dvc.yaml; raises InputError if it has none."""
    content = _read_mapping(project / "dvc.yaml", _RESTORE)
    return _require_mapping("dvc.yaml: stages", content.get("stages"), _RESTORE)


def _read_mapping(path: Path, remedy: str) -> Mapping[str, Any]:
    """Read a YAML file of the project; raises InputError unless its content is a mapping."""
    from deepen.core.yaml_reading import read_yaml

    return _require_mapping(str(path), read_yaml(path), remedy)


def _require_mapping(name: str, value: object, remedy: str) -> Mapping[str, Any]:
    from deepen.core.wording import format_value

    if not isinstance(value, dict):
        raise InputError(f"{name}: must be a mapping, got {format_value(value)}; {remedy}")
    return value


def _check_arguments(arguments: Sequence[str], content: Mapping[str, Any]) -> None:
    """Raise InputError with all invalid arguments of `dvc exp run`, and if this folder is not a project."""
    from deepen.cli.stages import find_argument_faults, find_name_faults
    from deepen.experiments.changes import MOST_COMBINATIONS, count_combinations, find_change_faults

    stages = read_stages(Path())
    models = content.get("models")
    faults = [
        *find_name_faults(arguments, Path()),
        *find_argument_faults(arguments, stages, list(map(str, models)) if isinstance(models, dict) else []),
    ]
    changes = [value for flag, value in pairwise(arguments) if flag == "--set-param"]
    if faults := faults + find_change_faults(content, changes):
        raise InputError(faults)
    if (count := count_combinations(content, changes)) > MOST_COMBINATIONS:
        print_warnings([f"{count:,} combinations; the settings of only the first {MOST_COMBINATIONS} were checked"])


def require_ascii_cache() -> None:
    """Raise InputError if the cache's path is not ASCII: DVC can't write it into the copy it runs in."""
    if str(Path.cwd()).isascii():
        return
    process = subprocess.run(["dvc", "cache", "dir"], capture_output=True, text=True)
    if process.returncode == 0 and not process.stdout.isascii():
        raise InputError(
            f"{process.stdout.strip()}: the path of DVC's cache must be ASCII for --temp and --queue; "
            "run for example dvc cache dir --local /srv/dvc-cache, or move the project"
        )
