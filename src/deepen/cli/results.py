"""`deepen results`: list the accuracy of this run's models and rank its experiments."""

import argparse
import csv
import json
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepen.cli.arguments import REPORT, add_command, add_project
from deepen.core.errors import quote, trim
from deepen.report.spreadsheets import escape_formula

if TYPE_CHECKING:
    from deepen.experiments.ranking import Ranked
    from deepen.experiments.store import Experiment

MOST_COLUMNS = 200


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = add_command(
        commands,
        "results",
        "list the accuracy of models and experiments",
        "Print top-1 of every model with its 95 % interval, the gain of each over the model it grew from, and "
        "the report's path. Then list the experiments that started from the last commit, best first, with the "
        "settings in which they differ. Experiments that differ only in their seed are also summarized together, and "
        "models that deepen baseline trained from scratch are listed beside those of this run.",
        ["deepen results", "deepen results --all", "deepen results --csv > experiments.csv"],
    )
    parser.add_argument("--all", action="store_true", help="include experiments that started from other commits")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", dest="write", action="store_const", const=_write_json, help="print experiments as JSON")
    form.add_argument("--csv", dest="write", action="store_const", const=_write_csv, help="print experiments as CSV")
    add_project(parser)
    parser.set_defaults(run=_run, write=None)


def _run(options: argparse.Namespace) -> None:
    from deepen.experiments.ranking import rank
    from deepen.experiments.store import list_experiments, load_workspace, merge_workspace

    here = load_workspace(options.project)
    experiments, others = list_experiments(options.project, everywhere=options.all)
    ranked = rank(merge_workspace(here, experiments))
    if options.write:
        options.write(ranked)
        return
    sections = [_describe_models(options.project, here), *_describe_baselines(options.project, here, experiments)]
    for section in (*sections, *(_describe_experiments(ranked) if experiments else ())):
        print(section, end="\n\n")
    if others:
        print(f"{others} more started from other commits: deepen results --all")


def _describe_models(project: Path, here: "Experiment | None") -> str:
    """Describe the accuracy of the models in params.yaml."""
    from deepen.experiments.collecting import collect_results
    from deepen.report.tables import format_summary

    depth = here.settings.get("depth") if here else None
    if here and depth not in (models := list(map(str, here.settings.get("models") or ()))):
        return f"params.yaml: depth: unknown model {quote(depth)}; use one of {', '.join(map(quote, models))}."
    results = collect_results(project, here.settings) if here else None
    if here is None or results is None or not results.records:
        return "No evaluated model in this run yet: run dvc repro."
    text = format_summary(results.records, results.missing).rstrip()
    if here.why:
        text += f"\n\nNote: {here.why}, so these results do not match params.yaml: run dvc repro."
    return text + (f"\n\nReport: {quote(project / REPORT)}" if (project / REPORT).is_file() else "")


def _describe_baselines(project: Path, here: "Experiment | None", experiments: "Sequence[Experiment]") -> Iterator[str]:
    """Yield the baselines of this run's models, if there are any."""
    from deepen.experiments.own_baselines import load_own_baselines
    from deepen.report.baseline_text import format_baselines

    if here and (baselines := load_own_baselines(project, here, experiments)):
        yield format_baselines(baselines)


def _describe_experiments(ranked: "Ranked") -> Iterator[str]:
    from deepen.experiments.ranking import format_ranking, summarize_seeds

    width = min(max(80, shutil.get_terminal_size().columns), MOST_COLUMNS)
    legend = "top-1 in percent, loss in nats; one seed each"
    yield f"Experiments, best first ({legend}):\n\n{format_ranking(ranked, width)}"
    has_intervals = any(each.interval for each, _ in ranked)
    sentences = ["The intervals in this table are over test images."] if has_intervals else []
    sentences += summarize_seeds(ranked)
    sentences += _describe_missing(ranked)
    if sentences:
        yield "\n".join(textwrap.fill(each, width, subsequent_indent="  ") for each in sentences)
    yield "dvc exp apply NAME replaces your run with an experiment and its report."


def _describe_missing(ranked: "Ranked") -> Iterator[str]:
    """Yield a sentence for all experiments that have no top-1 for the same reason."""
    names: dict[str, list[str]] = {}
    for each, _ in ranked:
        if each.why:
            names.setdefault(each.why, []).append(quote(each.name))
    for why, same in names.items():
        yield f"{', '.join(trim(same))} {'has' if len(same) == 1 else 'have'} no top-1 yet: {why}"


def _write_json(ranked: "Ranked") -> None:
    from deepen.experiments.ranking import MODEL

    rows = [
        {"experiment": each.name, "date": each.date or None, MODEL: each.settings.get("depth")}
        | {"metrics": each.metrics, "settings": {path: value for path, value in settings.items() if path != MODEL}}
        | ({"interval": each.interval} if each.interval else {})
        | ({"workspace": True} if each.is_here and each.name != "workspace" else {})
        | ({"why": each.why} if each.why else {})
        for each, settings in ranked
    ]
    print(json.dumps(rows, indent=1))


def _write_csv(ranked: "Ranked") -> None:
    metrics = dict.fromkeys(name for each, _ in ranked for name in each.metrics)
    paths = dict.fromkeys(path for _, settings in ranked for path in settings)
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["experiment", "date", *metrics, *map(escape_formula, paths)])
    for each, settings in ranked:
        numbers = [each.metrics.get(name, "") for name in metrics]
        table.writerow(
            [
                escape_formula(each.name),
                each.date,
                *numbers,
                *(escape_formula(settings.get(path, "")) for path in paths),
            ]
        )
