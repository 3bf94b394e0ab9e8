"""`deepen import`: trained weights of torchvision's as the start of a ladder."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepen.errors import InputError, about

if TYPE_CHECKING:
    from deepen.weights import ModelCard

FOLDER = "imports"


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = commands.add_parser(
        "import",
        help="make a torchvision VGG state dict the first model of a ladder",
        description="Read the state dict of one of torchvision's VGG networks (vgg11, vgg13, vgg16, vgg19, with or "
        "without _bn, any number of classes), write it to imports/ in the project as a weights file, and print the "
        "entry of params.yaml with which a model starts from it. Nothing in the file is run.",
        epilog="for example: deepen import vgg16-397923af.pth",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="what torch.save wrote, or a .safetensors")
    parser.add_argument("--classes", type=Path, metavar="FILE", help="the names of its classes, a line each, in order")
    parser.add_argument(
        "--mean", type=float, nargs=3, metavar=("R", "G", "B"), help="it takes (x - mean) / std; default: ImageNet's"
    )
    parser.add_argument("--std", type=float, nargs=3, metavar=("R", "G", "B"), help="likewise")
    parser.add_argument("--add", metavar="NAME", help="write the entry into params.yaml too, as the model of this name")
    parser.add_argument("--project", type=Path, default=Path(), metavar="FOLDER", help="default: this folder")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from deepen.new_model import with_model
    from deepen.starts import content_hash
    from deepen.torchvision_import import as_network, normalization, read_state
    from deepen.weights import save_weights
    from deepen.writing import write_text

    params = options.project / "params.yaml"
    if not params.is_file():
        raise InputError(f"{options.project}: has no params.yaml; run in the project's folder, or name it by --project")
    names = _lines(options.classes) if options.classes else None
    state, exported = read_state(options.file)
    if names is None and exported:
        names = exported.classes
    with about(options.file):
        mean, std = normalization(options.mean, options.std, exported)
        card, tensors = as_network(state, mean, std, names)
    unnamed = options.project / FOLDER / f"{card.model}.safetensors"
    save_weights(unnamed, tensors, card)
    start = f"{FOLDER}/{card.model}-{content_hash(unnamed)}.safetensors"
    os.replace(unnamed, options.project / start)
    print(entry_told(card, start))
    if options.add:
        write_text(params, with_model(params.read_text(encoding="utf-8"), options.add, _entry(card, start)))
        print(f"{params}: models.{options.add} added")


def _lines(path: Path) -> Sequence[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: can't be read as UTF-8 text ({error}); write the name of a class a line") from error


def _entry(card: "ModelCard", start: str) -> dict[str, object]:
    head = ["head"]  # other images have other classes
    return {"after": "scratch", "start": start, "layers": card.layers, "norm": card.norm, "epochs": 3} | {
        "fresh": head,
        "dropped": list(head),
    }


def entry_told(card: "ModelCard", start: str) -> str:
    """What was imported, and what to write in params.yaml for a model to start from it."""
    return f"""{start}: torchvision's {card.model}, {len(card.classes)} classes

Under models in params.yaml, as the first of a ladder:

  {card.model}:
    after: scratch
    start: {start}
    layers: {card.layers}
    norm: {card.norm}
    epochs: 3
    fresh: [head]     # your classes are others; leave out both lines to go on with these {len(card.classes)}
    dropped: [head]

It needs width: 1.0 and colour images; at 224x224 (datasets.folder.size: 224) all but the head is copied. For images of
another size, list fc1 beside head in both lines. A model that grows from it says after: {card.model}."""
