"""`deepen new`: one more model in params.yaml."""

import argparse
import re
from pathlib import Path
from typing import Any

from deepen.errors import InputError


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = commands.add_parser(
        "new",
        help="add a model to params.yaml",
        description="Write one more model into params.yaml, which is checked first and whose comments stay. By default "
        "it has two more of the last convolution than the model it grows from, and as many epochs.",
        epilog="example: deepen new IV --after III --epochs 20",
    )
    parser.add_argument("name", metavar="NAME", help="for example IV")
    parser.add_argument("--after", required=True, metavar="MODEL", help="the model it grows from, or scratch")
    parser.add_argument(
        "--layers", metavar="LAYERS", help="for example 'conv3-128 maxpool conv3-256*2 maxpool fc-1024'"
    )
    parser.add_argument("--epochs", type=int, metavar="N", help="how long it is trained")
    parser.add_argument("--project", type=Path, default=Path(), metavar="FOLDER", help="default: this folder")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from deepen.new_model import with_model
    from deepen.settings import SCRATCH, load_settings
    from deepen.writing import write_text

    path = options.project / "params.yaml"
    models = load_settings(path).models
    source = models.get(options.after)
    if source is None and options.after != SCRATCH:
        raise InputError(f"--after {options.after}: is none of {SCRATCH}, {', '.join(models)}; name one of them")
    if source is None and None in (options.layers, options.epochs):
        raise InputError(f"--after {SCRATCH}: needs --layers and --epochs; write for example {EXAMPLE}")
    entry: dict[str, object] = {"after": options.after}
    entry["layers"] = options.layers or deepened(source.layers if source else "")
    entry["epochs"] = options.epochs if options.epochs is not None else source and source.epochs
    if source and source.norm != "none":
        entry["norm"] = source.norm
    write_text(path, with_model(path.read_text(encoding="utf-8"), options.name, entry))
    print(f"{path}: models.{options.name}: " + ", ".join(f"{key} {value}" for key, value in entry.items()))


EXAMPLE = "--layers 'conv3-128 maxpool fc-1024' --epochs 3"


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
