"""`deepen models`: list the layers, parameters, operations and training steps of the models in params.yaml."""

import argparse
import json
import sys
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tabulate import tabulate

from deepen.cli.arguments import add_command, add_project, parse_whole_number
from deepen.cli.image_shape import CLASSES, UNKNOWN, read_image_shape
from deepen.core.errors import InputError
from deepen.core.tree import draw_tree

if TYPE_CHECKING:
    from deepen.config.settings import Settings
    from deepen.growth.ladder import Plans


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = add_command(
        commands,
        "models",
        "list the ladder's layers, parameters, FLOPs, steps",
        "Print the models of params.yaml with their numbers of parameters, floating-point operations, epochs and "
        "training steps, for the images of the data set, or for the shape given with --image.",
        ["deepen models", "deepen models --image 3x32x32 --classes 100"],
    )
    parser.add_argument("--image", metavar="CxHxW", help="shape of an image, for example 3x32x32")
    parser.add_argument(
        "--classes",
        type=parse_whole_number,
        metavar="N",
        help=f"number of classes, with --image (default: {CLASSES})",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_project(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from deepen.config.settings import load_settings
    from deepen.growth.ladder import plan_ladder

    settings = load_settings(options.project / "params.yaml")
    image, classes, images = read_image_shape(settings, options)
    image = settings.view_shape(image)
    plans = plan_ladder(settings, image, classes)
    tree = draw_tree({name: model.after for name, model in settings.models.items()})
    rows = [_describe_model(settings, plans, name, images) for name in tree]
    if options.json:
        print(json.dumps(rows, indent=1))
    else:
        print(_format_text(rows, tree))
        if rows and any(row["steps"] is None for row in rows):
            print(f"\n{_UNKNOWN_STEPS}")
        print(f"\nFor images of {'x'.join(map(str, image))} in {classes} classes, width {settings.network_width:g}.")
    _warn_about_memory(settings, plans, images)


def _describe_model(settings: "Settings", plans: "Plans", name: str, images: int) -> dict[str, Any]:
    """Return the numbers of a model; `steps` is None if the number of training images is unknown."""
    from deepen.models.layers import (
        compute_receptive_field,
        count_forward_flops,
        count_parameters,
        count_training_flops,
    )
    from deepen.models.notation import count_weight_layers

    model, layers, known = settings.models[name], plans[name], images != UNKNOWN
    return {
        "model": name,
        "after": model.after,
        "weight layers": count_weight_layers(model.layers),
        "parameters": count_parameters(layers),
        "MFLOPs an image": count_forward_flops(layers) / 1e6,
        "MFLOPs to learn from one": count_training_flops(layers) / 1e6,
        "receptive field": compute_receptive_field(layers),
        "epochs": settings.epochs(name, images) if known else model.epochs,
        "least epochs": settings.epochs(name, UNKNOWN),
        "steps": settings.steps(name, images) if known else None,
        "layers": model.layers,
    }


def _format_text(rows: Sequence[dict[str, Any]], tree: Mapping[str, str]) -> str:
    """Format the numbers as a table of 80 columns, followed by the layers of each model; `tree`: see draw_tree."""
    cells = [
        [
            tree[row["model"]] + row["model"],
            row["weight layers"],
            f"{row['parameters']:,}",
            f"{row['MFLOPs an image']:,.{1 if row['MFLOPs an image'] >= 1 else 3}f}",
            row["receptive field"],
            f">= {row['least epochs']:,}" if row["epochs"] is None else f"{row['epochs']:,}",
            "-" if row["steps"] is None else f"{row['steps']:,}",
        ]
        for row in rows
    ]
    headings = ["model", "layers", "parameters", "MFLOPs", "field", "epochs", "steps"]
    table = tabulate(
        cells, headings, disable_numparse=True, preserve_whitespace=True, colalign=("left", *["right"] * 6)
    )
    layers = [textwrap.fill(f"{row['model']}, after {row['after']}: {row['layers']}", 80, **_WRAPPED) for row in rows]
    return "\n".join((table, "", _LEGEND, "", *layers))


_WRAPPED: dict[str, Any] = {"subsequent_indent": "  ", "break_long_words": False, "break_on_hyphens": False}
_UNKNOWN_STEPS = textwrap.fill(
    "Steps, and epochs: auto, depend on the number of training images, which is not known here: epochs are at least "
    "as many as in the table. After dvc repro prepare, deepen models without --image prints the exact numbers.",
    80,
)
_LEGEND = textwrap.fill(
    "layers: weight layers. MFLOPs: forward pass of one image. field: side in pixels of the receptive field of the "
    "last convolution or pool.",
    80,
)


def _warn_about_memory(settings: "Settings", plans: "Plans", images: int) -> None:
    """Warn about models too large for this machine's memory; the ladder may be for another machine."""
    from deepen.growth.capacity import memory_faults
    from deepen.runtime.machine import get_device_memory

    with suppress(InputError):  # the device may be on the other machine too
        for fault in memory_faults(settings, plans, images, get_device_memory(settings.device)):
            print(f"warning: {fault}", file=sys.stderr)
