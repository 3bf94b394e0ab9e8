"""`deepen new`: one more model in params.yaml."""

import argparse
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deepen.cli.words import add_command, add_project, whole_number
from deepen.core.errors import InputError
from deepen.core.nearest import suggest_name


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = add_command(
        commands,
        "new",
        "add a model to params.yaml",
        "Write one more model into params.yaml, which is checked first and whose comments stay; dvc repro then trains "
        "it alone. By default it has two more of the last convolution than the model it grows from, and as many "
        "epochs.",
        ["deepen new IV --after III", "deepen new IV --after III --epochs 20"],
    )
    parser.add_argument("name", metavar="NAME", help="for example IV")
    parser.add_argument("--after", required=True, metavar="MODEL", help="the model it grows from, or scratch")
    parser.add_argument(
        "--layers", metavar="LAYERS", help="for example 'conv3-128 maxpool conv3-256*2 maxpool fc-1024'"
    )
    parser.add_argument("--epochs", type=whole_number, metavar="N", help="how long it is trained")
    add_project(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    path = options.project / "params.yaml"
    entry = add_model(path, options.name, lambda: _entry(options, path))
    print(f"{path}: models.{options.name}: " + ", ".join(f"{key} {value}" for key, value in entry.items()))


def add_model(path: Path, name: str, describe: Callable[[], dict[str, object]]) -> dict[str, object]:
    """Add a model to a params.yaml, or to what that links to, while no other process does; returns its settings.

    `describe` gives the settings, from the params.yaml as it is then.
    """
    from deepen.config.settings import load_settings
    from deepen.runtime.lock import hold_lock

    load_settings(path)  # before the lock's file is made beside it

    def waiting(holder: str) -> None:
        print(f"{path}: {holder}, changes it; waiting for its end", file=sys.stderr)

    file = path.resolve()  # which two links may lead to
    with hold_lock(file.with_name(f".{file.name}.lock"), waiting):
        entry = describe()
        _write(path, name, entry)
    return entry


def _entry(options: argparse.Namespace, path: Path) -> dict[str, object]:
    """The new model's settings: those that the options name, and the others from the model that it grows from."""
    from deepen.config.settings import load_settings
    from deepen.core.names import SCRATCH

    models = load_settings(path).models
    source = models.get(options.after)
    if source is None and options.after != SCRATCH:
        raise InputError(
            f"--after {options.after}: is none of {SCRATCH}, {', '.join(models)}; name one of them"
            + suggest_name(options.after, models)
        )
    if source is None and options.layers is None:
        raise InputError(f"--after {SCRATCH}: needs --layers; write for example {EXAMPLE}")
    entry: dict[str, object] = {"after": options.after}
    entry["layers"] = options.layers if options.layers is not None else deepened(source.layers if source else "")
    epochs = source and source.epochs if options.epochs is None else options.epochs
    entry["epochs"] = "auto" if epochs is None else epochs
    if source and source.norm != "none":
        entry["norm"] = source.norm
    return entry


def _write(path: Path, name: str, entry: dict[str, object]) -> None:
    """Write the model into params.yaml, or into what that links to, of which nothing else changes."""
    from deepen.config.edit import add_model
    from deepen.core.files import write_atomically

    new = add_model(path.read_bytes().decode(), name, entry).encode()
    with write_atomically(path.resolve()) as temporary:
        temporary.write_bytes(new)
        shutil.copymode(path, temporary)


EXAMPLE = "--layers 'conv3-128 maxpool fc-1024'"


def deepened(layers: str, more: int = 2) -> str:
    """The same layers with some more of the last convolution, which can start as the identity."""
    tokens = layers.split()
    last = max(i for i, token in enumerate(tokens) if token.startswith("conv"))
    kind, _, times = re.sub(r"^conv\d+", "conv3", tokens[last]).partition("*")
    if tokens[last].startswith("conv3-"):
        tokens[last] = f"{kind}*{int(times or 1) + more}"
    else:
        tokens.insert(last + 1, f"{kind}*{more}")
    return " ".join(tokens)
