"""`deepen import`: trained weights of other programs as the start of a ladder."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepen.cli.models import parse_image
from deepen.cli.new import add_model
from deepen.cli.words import add_command, add_project
from deepen.core.counts import counted
from deepen.core.errors import InputError, plain, prefix_faults

if TYPE_CHECKING:
    from torch import Tensor

    from deepen.convert.state_dicts import StateDict
    from deepen.models.weights import ModelCard

FOLDER = "imports"


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = add_command(
        commands,
        "import",
        "make a trained PyTorch network a ladder's first model",
        "Read the state dict of one of torchvision's VGG networks (vgg11, vgg13, vgg16, vgg19, with or "
        "without _bn, any number of classes), or, with --layers, of any plain network of convolutions, maxpools and "
        "linear layers. Write it to imports/ in the project as a weights file, and print the entry of params.yaml with "
        "which a model starts from it. A state dict inside a checkpoint, and prefixes such as module. and _orig_mod., "
        "are taken off and said. Nothing in the file is run.",
        [
            "deepen import vgg16-397923af.pth --add vgg16",
            "deepen import mine.pth --image 3x32x32 --mean 0 0 0 --std 1 1 1 \\\n"
            "    --layers 'conv3-128 maxpool conv3-256 maxpool conv3-512 maxpool fc-1024'",
        ],
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="what torch.save wrote, or a .safetensors")
    parser.add_argument("--key", metavar="KEY", help="where the file holds several state dicts: which, as model_ema")
    parser.add_argument(
        "--layers",
        metavar="LAYERS",
        help="its layers in the notation of params.yaml, without the last linear layer, the head: its tensors are "
        "matched in order and shape. It must have ReLU after each layer, convolutions that keep height and width "
        "(padding), and maxpools of 2x2; then --image, --mean and --std are needed",
    )
    parser.add_argument("--image", metavar="CxHxW", help="with --layers: the shape of its images, as 3x32x32")
    parser.add_argument("--classes", type=Path, metavar="FILE", help="the names of its classes, a line each, in order")
    parser.add_argument(
        "--mean", type=float, nargs="+", metavar="R", help="it takes (x - mean) / std, a number a channel, x in 0-1; "
        "without --layers the default is ImageNet's"
    )  # fmt: skip
    parser.add_argument("--std", type=float, nargs="+", metavar="R", help="likewise")
    parser.add_argument("--add", metavar="NAME", help="write the entry into params.yaml too, as the model of this name")
    add_project(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from deepen.convert.state_dicts import precision_notes, read_state

    params = options.project / "params.yaml"
    names = _lines(options.classes) if options.classes else None
    if options.image and not options.layers:
        raise InputError(f"--image {options.image}: goes with --layers; torchvision's networks take 3x224x224")
    state = read_state(options.file, options.key)
    with prefix_faults(plain(options.file)):
        card, tensors, told = (_plain if options.layers else _torchvision)(options, state, names)
    for line in (*state.notes, *precision_notes(state.tensors), *told):
        print(line)
    start = _written(options.project, card, tensors)
    print(entry_told(card, start))
    if options.add:
        add_model(params, options.add, lambda: _entry(card, start))
        print(f"{params}: models.{options.add} added")


_Imported = tuple["ModelCard", "dict[str, Tensor]", Sequence[str]]  # with what is said of it


def _torchvision(options: argparse.Namespace, state: "StateDict", names: Sequence[str] | None) -> _Imported:
    from deepen.convert.state_dicts import without_prefix
    from deepen.convert.torchvision_import import IMAGENET_MEAN, IMAGENET_STD, as_network, normalization

    exported = state.exported
    known = (exported.mean, exported.std) if exported else (IMAGENET_MEAN, IMAGENET_STD)
    mean, std = normalization(options.mean, options.std, known)
    tensors, notes = without_prefix(state.tensors)
    card, found = as_network(tensors, mean, std, exported.classes if names is None and exported else names)
    return card, found, notes


def _plain(options: argparse.Namespace, state: "StateDict", names: Sequence[str] | None) -> _Imported:
    from deepen.convert.plain_import import as_plain_network, model_name
    from deepen.convert.torchvision_import import normalization

    if options.image is None:
        raise InputError("--image is missing; write for example --image 3x32x32")
    image = parse_image(options.image)
    mean, std = normalization(options.mean, options.std, None, image[0])
    model = model_name(options.file.stem)
    card, found, matches = as_plain_network(state, options.layers, image, mean, std, names, model)
    width = max(map(len, matches.values()))
    shapes = {ours: "x".join(map(str, tensor.shape)) for ours, tensor in found.items()}
    lines = [f"{plain(theirs):{width}} -> {ours} {shapes[ours]}" for ours, theirs in matches.items()]
    return card, found, [*lines, "matched in the order of the file: see that the network uses its layers in this order"]


def _written(project: Path, card: "ModelCard", tensors: "dict[str, Tensor]") -> str:
    """Write the weights file, named after what is in it, also where another process imports the same; its path."""
    from deepen.core.files import make_temporary_folder, make_write_error, replace_file
    from deepen.growth.pretrained import content_hash
    from deepen.models.weights import save_weights

    unnamed = project / FOLDER / f"{card.model}.safetensors"
    try:
        with make_temporary_folder(unnamed) as folder:
            save_weights(folder / unnamed.name, tensors, card)
            start = f"{FOLDER}/{card.model}-{content_hash(folder / unnamed.name)}.safetensors"
            replace_file(folder / unnamed.name, project / start)
    except OSError as error:
        raise make_write_error(unnamed, error) from error
    return start


def _lines(path: Path) -> Sequence[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: can't be read as UTF-8 text ({error}); write the name of a class a line") from error


def _entry(card: "ModelCard", start: str) -> dict[str, object]:
    head = ["head"]  # other images have other classes
    return {"after": "scratch", "start": start, "layers": card.layers, "norm": card.norm, "epochs": "auto"} | {
        "fresh": head,
        "dropped": list(head),
    }


def entry_told(card: "ModelCard", start: str) -> str:
    """What was imported, and what to write in params.yaml for a model to start from it."""
    from deepen.convert.torchvision_names import LAYERS

    what = f"torchvision's {card.model}" if LAYERS.get(card.model) == card.layers else card.layers
    channels, *size = card.image
    colours = {1: "grey images", 3: "colour images"}.get(channels, f"images of {channels} channels")
    first = "list fc1 beside head" if "fc-" in card.layers else "the head is fresh too: list head"
    return f"""{start}: {what}, {counted(len(card.classes), "class")}

Under models in params.yaml, as the first of a ladder:

  {card.model}:
    after: scratch
    start: {start}
    layers: {card.layers}
    norm: {card.norm}
    epochs: auto
    fresh: [head]     # your classes are others; leave out both lines to go on with these {len(card.classes)}
    dropped: [head]

It needs width: 1.0 and {colours}; at {"x".join(map(str, size))} (datasets.folder.size: {size[0]}) all but the head is
copied. For images of another size, {first} in both lines. A model that grows from it says after: {card.model}."""
