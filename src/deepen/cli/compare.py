"""`deepen compare`: compare the metrics of two models of one run."""

import argparse
import json
import re
from pathlib import Path
from typing import Any

from tabulate import tabulate

from deepen.cli.arguments import add_command, add_project
from deepen.core.errors import InputError, quote
from deepen.core.names import MODEL_NAME, RESERVED
from deepen.core.nearest import suggest_name


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = add_command(
        commands,
        "compare",
        "compare two models of this run",
        "Print the metrics of two models of this run and their difference, second minus first, in the format of "
        "dvc metrics diff, which compares revisions instead of models.",
        ["deepen compare I III", "deepen compare I III --json"],
    )
    parser.add_argument("first", metavar="MODEL", help="a model, for example I")
    parser.add_argument("second", metavar="MODEL", help="another model, for example III")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--md", action="store_true", help="print a Markdown table")
    form.add_argument("--json", action="store_true", help="print JSON")
    add_project(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    for name in (options.first, options.second):
        if not re.fullmatch(MODEL_NAME, name) or name.lower() in RESERVED:
            raise InputError(f"{quote(name)}: invalid model name; use models of params.yaml, for example I and III")
    folder = options.project / "metrics"
    files = [folder / f"{name}.json" for name in (options.first, options.second)]
    if missing := [file for file in files if not file.is_file()]:
        models = sorted(file.stem for file in folder.glob("*.json") if file.stem not in RESERVED)
        raise InputError([f"{file}: no such file; {_suggest_models(file.stem, models)}" for file in missing])
    old, new = (_read_metrics(options.project, file) for file in files)
    rows: list[dict[str, Any]] = [
        {"metric": name, "old": old.get(name), "new": new.get(name)} for name in dict.fromkeys((*old, *new))
    ]
    for row in rows:
        if None not in row.values():
            row["diff"] = round(row["new"] - row["old"], 6)
    if options.json:
        print(json.dumps({row.pop("metric"): row for row in rows}, indent=1))
        return
    cells = [[row["metric"], *(row.get(key, "-") for key in ("old", "new", "diff"))] for row in rows]
    headings = ["Metric", options.first, options.second, "Change"]
    print(tabulate(cells, headings, tablefmt="github" if options.md else "plain", floatfmt=".5g", missingval="-"))


def _suggest_models(name: str, models: list[str]) -> str:
    if not models:
        return "run dvc repro"
    return f"use evaluated models ({', '.join(models)}), or run dvc repro" + suggest_name(name, models)


def _read_metrics(project: Path, file: Path) -> dict[str, float]:
    """Read the metrics of a model; raise InputError if its record, which has a checksum, differs."""
    from deepen.core.files import read_json
    from deepen.records.record import load_records

    metrics, record = read_json(file, dict[str, float]), project / "records" / file.name
    if record.is_file() and metrics != load_records(record)[-1].metrics:
        raise InputError(
            f"{file}: differs from {record}: one of them is damaged or from another run; "
            "run dvc checkout or dvc repro, and compare again"
        )
    return metrics
