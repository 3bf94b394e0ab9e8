"""`deepen import`: convert a trained PyTorch network into the start of a ladder."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepen.cli.arguments import add_command, add_project, parse_path
from deepen.cli.image_shape import parse_image
from deepen.cli.missing_path import require_path
from deepen.cli.new import add_model_to_file
from deepen.core.counts import pluralize
from deepen.core.errors import InputError, prefix_faults, quote
from deepen.core.regular_files import require_regular
from deepen.core.wording import describe_cause

if TYPE_CHECKING:
    from torch import Tensor

    from deepen.convert.state_dicts import StateDict
    from deepen.models.weights import ModelCard

IMPORTS = "imports"  # folder in the project


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = add_command(
        commands,
        "import",
        "start a ladder from a trained PyTorch network",
        "Read the state dict of one of torchvision's VGG networks (vgg11, vgg13, vgg16, vgg19, with or "
        "without _bn, any number of classes), or, with --layers, of any plain network of convolutions, maxpools and "
        "linear layers. Write it to imports/ in the project as a weights file, and print the entry of params.yaml for "
        "a model that starts from it. A state dict inside a checkpoint is unwrapped, and prefixes such as module. and "
        "_orig_mod. are removed, both with a note. No code in the file is executed.",
        [
            "deepen import vgg16-397923af.pth --add vgg16",
            "deepen import mine.pth --image 3x32x32 --mean 0 0 0 --std 1 1 1 \\\n"
            "    --layers 'conv3-128 maxpool conv3-256 maxpool conv3-512 maxpool fc-1024'",
        ],
    )
    parser.add_argument(
        "file", type=parse_path, metavar="FILE", help="a file written by torch.save, or a .safetensors file"
    )
    parser.add_argument(
        "--key", metavar="KEY", help="if the file has several state dicts: the one to read, such as model_ema"
    )
    parser.add_argument(
        "--layers",
        metavar="LAYERS",
        help="the network's layers in the notation of params.yaml, without the last linear layer, the head. Tensors "
        "are matched by order and shape. Required: ReLU after each layer, padding that keeps height and width, "
        "maxpools whose stride is their size, and the options --image, --mean and --std",
    )
    parser.add_argument("--image", metavar="CxHxW", help="with --layers: shape of an image, for example 3x32x32")
    parser.add_argument("--classes", type=parse_path, metavar="FILE", help="class names in order, one per line")
    parser.add_argument(
        "--mean", type=float, nargs="+", metavar="R", help="normalization (x - mean) / std of x in 0-1: a number per "
        "channel (default without --layers: ImageNet's)"
    )  # fmt: skip
    parser.add_argument("--std", type=float, nargs="+", metavar="R", help="see --mean")
    parser.add_argument("--add", metavar="NAME", help="also add the entry to params.yaml, as a model of this name")
    add_project(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from deepen.convert.state_dicts import precision_notes, read_state

    params = options.project / "params.yaml"
    names = _read_class_names(options.classes) if options.classes is not None else None
    if options.image is not None and options.layers is None:
        raise InputError(f"--image {options.image}: requires --layers; torchvision's networks take 3x224x224")
    require_path(options.file)
    state = read_state(options.file, options.key)
    with prefix_faults(quote(options.file)):
        card, tensors, notes = (_convert_plain if options.layers is not None else _convert_torchvision)(
            options, state, names
        )
    for line in (*state.notes, *precision_notes(state.tensors), *notes):
        print(line)

    def write() -> dict[str, object]:
        start = _write_weights(options.project, card, tensors)
        print(describe_import(card, start))
        return _make_entry(card, start)

    if options.add is None:
        write()
    else:
        planned = _make_entry(card, f"{IMPORTS}/{card.model}-{'0' * 8}.safetensors")  # the hash follows the content
        add_model_to_file(params, options.add, write, planned)
        print(f"{params}: models.{options.add} added")


_Imported = tuple["ModelCard", "dict[str, Tensor]", Sequence[str]]  # with notes to print


def _convert_torchvision(options: argparse.Namespace, state: "StateDict", names: Sequence[str] | None) -> _Imported:
    from deepen.convert.state_dicts import without_prefix
    from deepen.convert.torchvision_import import IMAGENET_MEAN, IMAGENET_STD, as_network, normalization

    exported = state.exported
    known = (exported.mean, exported.std) if exported else (IMAGENET_MEAN, IMAGENET_STD)
    mean, std = normalization(options.mean, options.std, known)
    tensors, notes = without_prefix(state.tensors)
    card, converted = as_network(tensors, mean, std, exported.classes if names is None and exported else names)
    return card, converted, notes


def _convert_plain(options: argparse.Namespace, state: "StateDict", names: Sequence[str] | None) -> _Imported:
    from deepen.convert.plain_import import as_plain_network, model_name
    from deepen.convert.torchvision_import import normalization

    if options.image is None:
        raise InputError("--image: required with --layers; write for example --image 3x32x32")
    image = parse_image(options.image)
    mean, std = normalization(options.mean, options.std, None, image[0])
    model = model_name(options.file.stem)
    card, converted, matches = as_plain_network(state, options.layers, image, mean, std, names, model)
    width = max(map(len, matches.values()))
    shapes = {ours: "x".join(map(str, tensor.shape)) for ours, tensor in converted.items()}
    lines = [f"{quote(theirs):{width}} -> {ours} {shapes[ours]}" for ours, theirs in matches.items()]
    note = "matched in the order of the file; check that the network applies its layers in this order"
    return card, converted, [*lines, note]


def _write_weights(project: Path, card: "ModelCard", tensors: "dict[str, Tensor]") -> str:
    """Write the weights file under a name with a hash of its content; return its path in the project.

    Another process may import the same weights at the same time."""
    from deepen.core.files import make_temporary_folder, make_write_error, replace_file
    from deepen.growth.pretrained import content_hash
    from deepen.models.weights import save_weights

    unnamed = project / IMPORTS / f"{card.model}.safetensors"
    try:
        with make_temporary_folder(unnamed) as folder:
            save_weights(folder / unnamed.name, tensors, card)
            start = f"{IMPORTS}/{card.model}-{content_hash(folder / unnamed.name)}.safetensors"
            replace_file(folder / unnamed.name, project / start)
    except OSError as error:
        raise make_write_error(unnamed, error) from error
    return start


def _read_class_names(path: Path) -> Sequence[str]:
    require_path(path)
    require_regular(path, "name a text file with one class name per line")
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: can't be read as UTF-8 text ({describe_cause(error)}); write one class name per line"
        ) from error


def _make_entry(card: "ModelCard", start: str) -> dict[str, object]:
    head = ["head"]  # the data set's classes differ from the imported ones
    return {"after": "scratch", "start": start, "layers": card.layers, "norm": card.norm, "epochs": "auto"} | {
        "fresh": head,
        "dropped": list(head),
    }


def describe_import(card: "ModelCard", start: str) -> str:
    """Describe the imported network and the entry of params.yaml for a model that starts from it."""
    from deepen.convert.torchvision_names import LAYERS

    network = f"torchvision's {card.model}" if LAYERS.get(card.model) == card.layers else card.layers
    channels, *size = card.image
    colours = {1: "grey images", 3: "colour images"}.get(channels, f"images of {channels} channels")
    fresh = "list fc1 and head" if "fc-" in card.layers else "list head"
    return f"""{start}: {network}, {pluralize(len(card.classes), "class")}

Under models in params.yaml, as the first model of a ladder:

  {card.model}:
    after: scratch
    start: {start}
    layers: {card.layers}
    norm: {card.norm}
    epochs: auto
    fresh: [head]     # your classes differ; remove both lines to keep these {len(card.classes)}
    dropped: [head]

It requires width: 1.0 and {colours}. At {"x".join(map(str, size))} (datasets.folder.size: {size[0]}), all layers but
the head are copied. For images of another size, {fresh} in both lines. A model that grows from it has
after: {card.model}."""
