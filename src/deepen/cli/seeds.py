"""`deepen seeds`: train the ladder with several seeds, and list means and differences with intervals over seeds."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepen.cli.arguments import add_changes, add_command
from deepen.cli.planned_runs import require_success, run_all
from deepen.cli.project_folder import require_project
from deepen.cli.settings_file import read_params
from deepen.core.errors import InputError, quote
from deepen.core.seeding import MOST_SEED

if TYPE_CHECKING:
    from deepen.seeds.table import SeedTable

FOLDER = Path("reports/seeds")
GROUP = "ladder"  # the default name
_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = add_command(
        commands,
        "seeds",
        "train with several seeds and compare the models",
        "Train the ladder once for each seed, as the experiments NAME-seed-0, NAME-seed-1 and so on, one after the "
        "other. Those that are done are not run again. Then print the mean top-1 of each model, and its difference to "
        "the model that it grew from, paired by seed, with 95 % intervals over seeds. Markdown, CSV and a page are "
        f"written to {FOLDER}. Without seeds, only print and write them.",
        ["deepen seeds 0 1 2 3 4", "deepen seeds 0 1 2 --name low --changes 'lr=0.01'", "deepen seeds --name low"],
    )
    parser.add_argument("seeds", nargs="*", type=_parse_seed, metavar="SEED", help="for example 0 1 2 3 4")
    parser.add_argument("--name", default=GROUP, metavar="NAME", help=f"of these experiments (default: {GROUP})")
    add_changes(parser, "settings to change, separated by spaces, for all seeds")
    parser.add_argument("--all", action="store_true", help="include experiments that started from other commits")
    parser.set_defaults(run=_run)


def _parse_seed(text: str) -> int:
    """Convert a text to a seed; the argparse type of seeds."""
    if not re.fullmatch(r"[0-9]{1,19}", text) or int(text) > MOST_SEED:
        raise argparse.ArgumentTypeError(f"must be a whole number, 0 to {MOST_SEED}, got {quote(text)[:60]!r}")
    return int(text)


def _run(options: argparse.Namespace) -> None:
    from deepen.seeds.planned_runs import plan_seeds

    require_project(Path(), has_option=False)
    check_name(options.name)
    changes = options.changes or ""
    if changes.strip() and not options.seeds:
        raise InputError("--changes: requires seeds to run; write for example deepen seeds 0 1 2 --changes lr=0.01")
    runs = plan_seeds(read_params(Path()), options.name, options.seeds, changes)
    failed = run_all(runs) if runs else []
    if len(failed) < len(runs) or not runs:
        print_group(options.name, everywhere=options.all)
    require_success(runs, failed)


def check_name(name: str) -> None:
    """Raise InputError unless a text can be the name of experiments."""
    if not re.fullmatch(_NAME, name):
        raise InputError(f"--name {quote(name)[:80]}: use 1 to 64 letters, digits, - and _, for example low-rate")


def print_group(name: str, *, everywhere: bool = False) -> None:
    """Print the results of a group of experiments, and write them as Markdown, CSV and a page."""
    from deepen.experiments.store import list_experiments
    from deepen.report.seed_rows import format_seed_text
    from deepen.seeds.table import load_seed_table

    experiments, others = list_experiments(Path(), everywhere=everywhere)
    table = load_seed_table(Path(), name, experiments, others)
    print(f"\n{format_seed_text(table)}\n")
    print("Written: " + ", ".join(map(str, _write(table))))


def _write(table: "SeedTable") -> Sequence[Path]:
    from deepen.core.files import write_text
    from deepen.report.seed_page import render_seed_page
    from deepen.report.seed_rows import format_seed_csv, format_seed_text

    paths = [FOLDER / f"{table.group.name}.{ending}" for ending in ("md", "csv", "html")]
    texts = (format_seed_text(table, "pipe") + "\n", format_seed_csv(table), render_seed_page(table))
    for path, text in zip(paths, texts, strict=True):
        write_text(path, text)
    return paths
