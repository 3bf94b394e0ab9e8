"""`deepen compare`: compare the models of one run, or two experiments over seeds."""

import argparse
import json
from collections.abc import Iterator, Mapping
from typing import Any

from tabulate import tabulate

from deepen.cli.arguments import add_command, add_project
from deepen.cli.compared_models import read_metrics, require_model, suggest_models, warn_of_changes
from deepen.cli.settings_file import read_params
from deepen.core.errors import InputError, quote
from deepen.report.spreadsheets import format_csv

_MAIN = ("top1", "balanced_top1", "loss")  # metrics to compare for all models


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = add_command(
        commands,
        "compare",
        "compare models of this run, or two experiments over seeds",
        "Print the metrics of two models of this run and their difference, second minus first, in the format of "
        "dvc metrics diff, which compares revisions instead of models. Without models, compare each with the one that "
        "it grew from. With --seeds, compare the experiments of two --name of deepen seeds instead: top-1 of each "
        "model, paired by seed, with a 95 % interval over seeds.",
        ["deepen compare", "deepen compare I III", "deepen compare I III --json", "deepen compare ladder low --seeds"],
    )
    parser.add_argument(
        "first", metavar="FIRST", nargs="?", help="a model, for example I; with --seeds, a name of deepen seeds"
    )
    parser.add_argument("second", metavar="SECOND", nargs="?", help="another one, for example III")
    parser.add_argument("--seeds", action="store_true", help="compare experiments, paired by seed")
    parser.add_argument("--all", action="store_true", help="with --seeds, include experiments of other commits")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="print CSV")
    form.add_argument("--md", action="store_true", help="print a Markdown table")
    form.add_argument("--json", action="store_true", help="print JSON")
    add_project(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    if options.all and not options.seeds:
        raise InputError("--all: requires --seeds, which compares experiments; remove one or add the other")
    if options.seeds:
        _compare_seeds(options)
    elif options.first is None:
        _compare_all(options)
    elif options.second is None:
        raise InputError(f"deepen compare {quote(options.first)}: names one model; name two, or none to compare all")
    else:
        _compare_two(options)


def _compare_seeds(options: argparse.Namespace) -> None:
    from deepen.experiments.store import list_experiments
    from deepen.report.comparison_text import format_comparison, format_comparison_csv, format_comparison_json
    from deepen.seeds.comparison import compare_groups

    if options.second is None:
        raise InputError(
            "--seeds: needs two names of deepen seeds; write for example deepen compare ladder low --seeds"
        )
    found = list_experiments(options.project, everywhere=options.all)
    comparison = compare_groups(options.project, (options.first, options.second), *found)
    if options.json:
        print(format_comparison_json(comparison))
    elif options.csv:
        print(format_comparison_csv(comparison), end="")
    else:
        print(format_comparison(comparison, "pipe" if options.md else "plain"))


def _compare_two(options: argparse.Namespace) -> None:
    names, project = (options.first, options.second), options.project
    params = read_params(project)
    for name in names:
        require_model(name, list(params["models"]), project)
    if names[0] == names[1]:
        raise InputError(f"{names[0]}: named twice; name two models")
    folder = project / "metrics"
    files = [folder / f"{name}.json" for name in names]
    if missing := [file for file in files if not file.is_file()]:
        models = [name for name in params["models"] if (folder / f"{name}.json").is_file()]
        raise InputError([f"{file}: no such file; {suggest_models(file.stem, models)}" for file in missing])
    rows = _make_rows(*(read_metrics(project, file) for file in files))
    warn_of_changes(project, params, names)
    if options.json:
        print(json.dumps({row.pop("metric"): row for row in rows}, indent=1))
        return
    if options.csv:
        print(format_csv([{"diff": None, **row} for row in rows], ("metric", "old", "new", "diff")), end="")
        return
    cells = [[row["metric"], *(row.get(key, "-") for key in ("old", "new", "diff"))] for row in rows]
    headings = ["Metric", *names, "Change"]
    print(tabulate(cells, headings, tablefmt="github" if options.md else "plain", floatfmt=".5g", missingval="-"))


def _compare_all(options: argparse.Namespace) -> None:
    """Print a row per model: its main metrics, each with the difference to those of the model that it grew from."""
    from deepen.experiments.collecting import collect_results
    from deepen.records.ladder import draw_models
    from deepen.records.record import Record

    results = collect_results(options.project, read_params(options.project))
    metrics = {record.model: record.metrics for record in results.records}
    changes = {
        record.model: {row.pop("metric"): row for row in _make_rows(metrics.get(record.after, {}), record.metrics)}
        for record in results.records
    }
    if options.json:
        print(json.dumps(changes, indent=1))
        return
    if options.csv:
        lines = [{"model": model, "metric": name, **row} for model in changes for name, row in changes[model].items()]
        print(format_csv([{"diff": None, **line} for line in lines], ("model", "metric", "old", "new", "diff")), end="")
        return
    rows = [
        [lines + each.model, each.after, *_format_changes(changes[each.model])]
        if isinstance(each, Record)
        else [lines + each.model, each.after, each.state]
        for lines, each in draw_models(results.records, results.missing)
    ]
    form = "github" if options.md else "plain"
    print(tabulate(rows, ["Model", "After", *_MAIN], form, disable_numparse=True, preserve_whitespace=True))


def _format_changes(changes: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    for name in _MAIN:
        row = changes.get(name, {})
        digits = 3 if name == "loss" else 2
        difference = f" ({row['diff']:+.{digits}f})" if "diff" in row else ""
        yield f"{row['new']:.{digits}f}{difference}" if row.get("new") is not None else "-"


def _make_rows(old: Mapping[str, float], new: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return a row per metric with its old and its new value, and their difference if both are known."""
    rows: list[dict[str, Any]] = [
        {"metric": name, "old": old.get(name), "new": new.get(name)} for name in dict.fromkeys((*old, *new))
    ]
    for row in rows:
        if None not in row.values():
            row["diff"] = round(row["new"] - row["old"], 6)
    return rows
