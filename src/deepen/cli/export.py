"""`deepen export`: write a network as ONNX or as a torchvision state dict."""

import argparse
from pathlib import Path
from typing import Any

from deepen.cli.arguments import add_command, make_choice_type, parse_path
from deepen.cli.card import write_card
from deepen.cli.output_file import check_output
from deepen.cli.weights_file import add_weights, check_weights
from deepen.core.errors import InputError, prefix_faults


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = add_command(
        commands,
        "export",
        "write a network as ONNX, or for torchvision",
        "Write the network of a weights file for other programs. onnx supports any network. The model takes raw uint8 "
        "images in batches of any size and returns logits and probabilities. It is kept only if onnxruntime computes "
        "the same as Deepen. torchvision supports networks with the layers of torchvision's vgg11, vgg13, vgg16 or "
        "vgg19, with or without _bn, and writes a state dict that loads with strict=True. A model card is written "
        "beside the file, as III.onnx.md.",
        ["deepen export weights/III.safetensors --to onnx"],
    )
    add_weights(parser)
    parser.add_argument(
        "--to",
        type=make_choice_type("onnx", "torchvision"),
        required=True,
        metavar="FORMAT",
        help="output format: onnx or torchvision",
    )
    parser.add_argument(
        "--output",
        type=parse_path,
        metavar="FILE",
        help="output file (default: III.onnx or III-torchvision.safetensors in this folder)",
    )
    parser.add_argument("--force", action="store_true", help="replace an existing output file")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    check_weights(options.weights)
    suffix = ".onnx" if options.to == "onnx" else "-torchvision.safetensors"
    output = options.output or Path(options.weights.stem + suffix)
    beside = output.with_name(f"{output.name}.md")
    for path in (output, beside):
        check_output(path, "--output", (options.weights,), force=options.force)
    write = _write_onnx if options.to == "onnx" else _write_torchvision
    net = write(options.weights, output)
    write_card(options.weights, beside, output.name, options.to, net)


def _write_onnx(weights: Path, output: Path) -> str:
    from deepen.convert.onnx import TOLERANCE, check_exportable, measure_difference, to_onnx
    from deepen.core.files import write_atomically
    from deepen.models.networks import load_network

    card, network = load_network(weights)
    with prefix_faults(weights):
        check_exportable(card)
    with write_atomically(output) as temporary:
        temporary.write_bytes(to_onnx(card, network).SerializeToString(deterministic=True))
        difference = measure_difference(temporary, card, network)
        if difference >= TOLERANCE:
            raise InputError(
                f"{output}: not written, onnxruntime and Deepen differ by {difference:.2g} and the limit is "
                f"{TOLERANCE:g}; please report this bug"
            )
    print(f"{output}: uint8 images (batch, {', '.join(map(str, card.image))}) -> logits, probabilities")
    print(f"onnxruntime and Deepen differ by at most {difference:.2g} on random images")
    return ""


def _write_torchvision(weights: Path, output: Path) -> str:
    """Write the state dict; return the name of the torchvision network that it fits."""
    import torch
    from safetensors.torch import save_file

    from deepen.convert.torchvision_names import METADATA, Exported, find_net, to_torchvision
    from deepen.core.files import write_atomically
    from deepen.models.weights import load_weights

    card, state = load_weights(weights)
    layers = card.plan()
    with prefix_faults(weights):
        net = find_net(layers)
    exported = Exported(net=net, classes=card.classes, mean=card.mean, std=(1.0, 1.0, 1.0))
    with write_atomically(output) as temporary:
        tensors = {key: torch.from_numpy(array) for key, array in state.items()}
        save_file(to_torchvision(layers, tensors), temporary, metadata={METADATA: exported.model_dump_json()})
    print(f"{output}: for torchvision.models.{net}(num_classes={len(card.classes)}).load_state_dict")
    print(f"it takes images of {'x'.join(map(str, card.image[1:]))} after")
    print(f"torchvision.transforms.Normalize({list(card.mean)}, [1.0, 1.0, 1.0])")
    return net
