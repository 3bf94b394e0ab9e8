"""`deepen baseline`: train a deep model from scratch with the training compute of the whole ladder."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepen.cli.arguments import add_command
from deepen.cli.planned_runs import require_success, run_all
from deepen.cli.project_folder import require_project
from deepen.cli.settings_file import read_params
from deepen.core.errors import quote

if TYPE_CHECKING:
    from deepen.seeds.baseline_runs import Planned


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = add_command(
        commands,
        "baseline",
        "train a model from scratch with the ladder's compute",
        "Train a grown model from scratch, with the recipe and the seed of its ladder, for as many epochs as all "
        "trainings of the ladder cost. It is an experiment; params.yaml does not change. The ladder is that of "
        "dvc repro, or with --of those of deepen seeds, one baseline for each seed. deepen results and deepen seeds "
        "list the baseline.",
        ["deepen baseline III", "deepen seeds 0 1 2 && deepen baseline III --of ladder"],
    )
    parser.add_argument("model", nargs="?", metavar="MODEL", help="a grown model, for example III (default: depth)")
    parser.add_argument("--of", metavar="NAME", help="the --name of deepen seeds (default: the run of dvc repro)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from deepen.cli.seeds import check_name, print_group
    from deepen.seeds.baseline_runs import plan_group_baselines, plan_own_baseline

    require_project(Path(), has_option=False)
    params = read_params(Path())
    if options.of is None:
        planned = plan_own_baseline(Path(), params, options.model)
    else:
        check_name(options.of)
        planned = plan_group_baselines(Path(), params, options.of, options.model)
    for line in describe_plans(planned):
        print(line, flush=True)
    runs = [run for run, _, _ in planned]
    failed = run_all(runs)
    if options.of is not None and len(failed) < len(runs):
        print_group(options.of)
    require_success(runs, failed)


def describe_plans(planned: "Sequence[Planned]") -> list[str]:
    """Return a sentence for each number of epochs, and notes on early stops and on starts trained elsewhere."""
    from deepen.experiments.baseline import list_imported
    from deepen.report.training_notes import describe_patience
    from deepen.seeds.baseline_runs import describe_baseline

    lines = [describe_baseline(baseline, records) for _, baseline, records in planned]
    run, baseline, records = planned[0]
    imported = list_imported(records, run.settings)
    lines += [f"note: {note}" for note in describe_patience(baseline.model, records)]
    lines += [f"note: {quote(name)} starts from a file, whose own training is not counted" for name in imported]
    return list(dict.fromkeys(lines))
