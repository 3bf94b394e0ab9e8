"""`deepen card`: write the model card of a network, as model hubs expect it."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepen.cli.arguments import add_command, parse_path
from deepen.cli.output_file import check_output
from deepen.cli.weights_file import add_weights, check_weights, find_start
from deepen.core.errors import InputError, quote

if TYPE_CHECKING:
    from deepen.records.record import Record
    from deepen.report.model_card import Format


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = add_command(
        commands,
        "card",
        "write the model card of a network",
        "Write Markdown with YAML front matter, as model hubs expect it in README.md: classes, data, accuracies with "
        "intervals, the models that the network grew from, settings, versions and limits. It says what is not known. "
        "The numbers are those of records/ in the project of the weights file, or in this folder.",
        ["deepen card weights/III.safetensors", "deepen card weights/III.safetensors --output upload/README.md"],
    )
    add_weights(parser)
    parser.add_argument(
        "--output", type=parse_path, metavar="FILE", help="output file (default: III.md in this folder)"
    )
    parser.add_argument("--force", action="store_true", help="replace an existing output file")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    check_weights(options.weights)
    output = options.output or Path(f"{options.weights.stem}.md")
    check_output(output, "--output", (options.weights,), force=options.force)
    write_card(options.weights, output, options.weights.name)


def write_card(weights: Path, output: Path, file: str, form: "Format" = "safetensors", net: str = "") -> None:
    """Write the model card of a weights file, for a `file` of that name and form, and print what it has."""
    from deepen.core.files import write_text
    from deepen.models.weights import load_weights, read_weights_checksum
    from deepen.report.model_card import format_card

    card, _ = load_weights(weights)
    checksum = read_weights_checksum(weights)
    records = _find_records(weights, checksum)
    untrained = not records and _is_start(weights, card.model, checksum)
    write_text(output, format_card(card, checksum, records, file, form, net, untrained=untrained))
    without = " before its training" if untrained else " without results: records/ has none of these weights"
    print(f"{quote(output)}: model card of {card.model}{'' if records else without}")


def _is_start(weights: Path, model: str, checksum: str) -> bool:
    """Return whether weights are those from which a model's training starts, as their folder or a transfer says."""
    from deepen.records.transfer_report import load_transfer

    if find_start(weights):
        return True
    for path in (project / f"transfers/{model}.json" for project in _list_projects(weights)):
        try:
            if path.is_file() and load_transfer(path).weights[0] == checksum:
                return True
        except InputError:  # damaged, which dvc repro reports
            continue
    return False


def _list_projects(weights: Path) -> list[Path]:
    """Return the folder of the project that a weights file may be of, and this folder."""
    return list(dict.fromkeys((weights.resolve().parent.parent, Path().resolve())))


def _find_records(weights: Path, checksum: str) -> "list[Record]":
    """Return the records of a network and its ancestors from the project of the weights file, or from this folder."""
    from deepen.records.record import load_records

    for path in (path for project in _list_projects(weights) for path in sorted((project / "records").glob("*.json"))):
        try:
            records = load_records(path)
        except InputError:  # damaged, which dvc repro reports
            continue
        if records and records[-1].weights == checksum:
            return records
    return []
