"""`deepen compare`: two models of one run, as `dvc metrics diff` compares two runs of one model."""

import argparse
import json
import re
from pathlib import Path
from typing import Any

from tabulate import tabulate

from deepen.cli.words import add_command, add_project
from deepen.core.errors import InputError, plain
from deepen.core.names import MODEL_NAME, RESERVED
from deepen.core.nearest import suggest_name


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = add_command(
        commands,
        "compare",
        "the difference between two models",
        "Print the metrics of two models of this run and what the second has more than the first, in the words of "
        "dvc metrics diff, which compares revisions and not models.",
        ["deepen compare I III", "deepen compare I III --json"],
    )
    parser.add_argument("first", metavar="MODEL", help="for example I")
    parser.add_argument("second", metavar="MODEL", help="for example III")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--md", action="store_true", help="as a Markdown table")
    form.add_argument("--json", action="store_true", help="as JSON")
    add_project(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    for name in (options.first, options.second):
        if not re.fullmatch(MODEL_NAME, name) or name.lower() in RESERVED:
            raise InputError(f"{plain(name)}: not a model; name models of params.yaml, for example I and III")
    folder = options.project / "metrics"
    files = [folder / f"{name}.json" for name in (options.first, options.second)]
    if missing := [file for file in files if not file.is_file()]:
        there = sorted(file.stem for file in folder.glob("*.json") if file.stem not in RESERVED)
        raise InputError([f"{file}: missing; {_remedy(file.stem, there)}" for file in missing])
    old, new = (_metrics(options.project, file) for file in files)
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
    heads = ["Metric", options.first, options.second, "Change"]
    print(tabulate(cells, heads, tablefmt="github" if options.md else "plain", floatfmt=".5g", missingval="-"))


def _remedy(name: str, there: list[str]) -> str:
    if not there:
        return "run dvc repro"
    return f"name models that have run ({', '.join(there)}), or run dvc repro" + suggest_name(name, there)


def _metrics(project: Path, file: Path) -> dict[str, float]:
    """The metrics of a model, held to its record, which has a checksum, where there is one."""
    from deepen.core.files import read_json
    from deepen.records.record import load_records

    found, record = read_json(file, dict[str, float]), project / "records" / file.name
    if record.is_file() and found != load_records(record)[-1].metrics:
        raise InputError(
            f"{file}: differs from {record}: one of them was damaged, or is of another run; "
            "run dvc checkout, or dvc repro, and compare again"
        )
    return found
