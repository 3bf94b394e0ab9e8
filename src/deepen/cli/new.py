"""`deepen new`: add a model to params.yaml."""

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deepen.cli.arguments import add_command, add_project, parse_whole_number
from deepen.cli.settings_file import lock_settings, read_settings_text, write_settings_text
from deepen.core.errors import InputError
from deepen.core.nearest import suggest_name


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = add_command(
        commands,
        "new",
        "add a model to params.yaml",
        "Add a model to params.yaml, which is validated first and keeps its comments; dvc repro then trains only the "
        "new model. By default it has two more 3x3 convolutions than the model that it grows from, after the last one, "
        "and as many epochs.",
        ["deepen new IV --after III", "deepen new IV --after III --epochs 20"],
    )
    parser.add_argument("name", metavar="NAME", help="name of the new model, for example IV")
    parser.add_argument("--after", required=True, metavar="MODEL", help="the model that it grows from, or scratch")
    parser.add_argument(
        "--layers", metavar="LAYERS", help="its layers, for example 'conv3-128 maxpool conv3-256*2 maxpool fc-1024'"
    )
    parser.add_argument("--epochs", type=parse_whole_number, metavar="N", help="number of training epochs")
    add_project(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    path = options.project / "params.yaml"
    entry = add_model_to_file(path, options.name, lambda: _make_entry(options, path))
    print(f"{path}: models.{options.name}: " + ", ".join(f"{key} {value}" for key, value in entry.items()))


def add_model_to_file(
    path: Path, name: str, make_entry: Callable[[], dict[str, object]], planned: dict[str, object] | None = None
) -> dict[str, object]:
    """Add a model to a params.yaml, or to the file that it links to, under a lock; return the model's settings.

    `make_entry` returns the settings; it is called while the lock is held, and after `planned` settings, if given, have
    been validated, since it may write files.
    """
    from deepen.cli.edit import add_model

    with lock_settings(path):
        if planned is not None:
            add_model(read_settings_text(path), name, planned)
        entry = make_entry()
        write_settings_text(path, add_model(read_settings_text(path), name, entry))
    return entry


def _make_entry(options: argparse.Namespace, path: Path) -> dict[str, object]:
    """Return the new model's settings: from the options, else from the model that it grows from."""
    from deepen.config.settings import load_settings
    from deepen.core.names import SCRATCH

    models = load_settings(path).models
    source = models.get(options.after)
    if source is None and options.after != SCRATCH:
        raise InputError(
            f"--after {options.after}: unknown model; use one of {SCRATCH}, {', '.join(models)}"
            + suggest_name(options.after, models)
        )
    if source is None and options.layers is None:
        raise InputError(f"--after {SCRATCH}: needs --layers; write for example {EXAMPLE}")
    entry: dict[str, object] = {"after": options.after}
    entry["layers"] = (
        options.layers if options.layers is not None else add_convolutions(source.layers if source else "")
    )
    epochs = source and source.epochs if options.epochs is None else options.epochs
    entry["epochs"] = "auto" if epochs is None else epochs
    if source and source.norm != "none":
        entry["norm"] = source.norm
    return entry


EXAMPLE = "--layers 'conv3-128 maxpool fc-1024'"


def add_convolutions(layers: str, more: int = 2) -> str:
    """Add `more` 3x3 convolutions after the last one, with its channels, which can start as the identity."""
    tokens = layers.split()
    last = max(i for i, token in enumerate(tokens) if token.startswith("conv"))
    kind, _, times = re.sub(r"^conv\d+", "conv3", tokens[last]).partition("*")
    if tokens[last].startswith("conv3-"):
        tokens[last] = f"{kind}*{int(times or 1) + more}"
    else:
        tokens.insert(last + 1, f"{kind}*{more}")
    return " ".join(tokens)
