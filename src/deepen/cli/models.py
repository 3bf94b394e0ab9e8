"""`deepen models`: the ladder of params.yaml, laid out."""

import argparse
import json
import sys
import textwrap
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabulate import tabulate

from deepen.cli.words import add_command, add_project, whole_number
from deepen.core.errors import InputError

if TYPE_CHECKING:
    from deepen.config.settings import Settings
    from deepen.growth.ladder import Plans

TRAIN = Path("data/train.safetensors")
UNKNOWN = sys.maxsize  # number of training images


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = add_command(
        commands,
        "models",
        "the ladder: layers, parameters, operations, steps",
        "Print the models of params.yaml, laid out for the images that dvc repro prepared or those that --image "
        "describes: how large each is, what it takes to run, and how long it is trained.",
        ["deepen models", "deepen models --image 3x32x32 --classes 100"],
    )
    parser.add_argument("--image", metavar="CxHxW", help="shape of an image, for example 3x32x32")
    parser.add_argument(
        "--classes", type=whole_number, metavar="N", help="how many classes, with --image (default: 10)", default=10
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_project(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from deepen.config.settings import load_settings
    from deepen.growth.ladder import plan_ladder

    settings = load_settings(options.project / "params.yaml")
    image, classes, images = _images(options)
    image = settings.view_shape(image)
    plans = plan_ladder(settings, image, classes)
    rows = [_row(settings, plans, name, images) for name in settings.models]
    if options.json:
        print(json.dumps(rows, indent=1))
    else:
        print(_as_text(rows))
        if rows and any(row["steps"] is None for row in rows):
            print(f"\n{_UNKNOWN_STEPS}")
        print(f"\nFor images of {'x'.join(map(str, image))} in {classes} classes, width {settings.network_width:g}.")
    _warn_of_memory(settings, plans, images)


def _row(settings: "Settings", plans: "Plans", name: str, images: int) -> dict[str, Any]:
    """What there is to say of a model; its steps, and epochs that are auto, need a known number of training images."""
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


def _as_text(rows: Sequence[dict[str, Any]]) -> str:
    """A table of the numbers in 80 columns, and below it the layers of each model."""
    cells = [
        [
            row["model"],
            row["weight layers"],
            f"{row['parameters']:,}",
            f"{row['MFLOPs an image']:,.{1 if row['MFLOPs an image'] >= 1 else 3}f}",
            row["receptive field"],
            f">= {row['least epochs']:,}" if row["epochs"] is None else f"{row['epochs']:,}",
            "-" if row["steps"] is None else f"{row['steps']:,}",
        ]
        for row in rows
    ]
    heads = ["model", "layers", "parameters", "MFLOPs", "sees", "epochs", "steps"]
    table = tabulate(cells, heads, disable_numparse=True, colalign=("left", *["right"] * 6))
    layers = [textwrap.fill(f"{row['model']}, after {row['after']}: {row['layers']}", 80, **_WRAPPED) for row in rows]
    return "\n".join((table, "", _LEGEND, "", *layers))


_WRAPPED: dict[str, Any] = {"subsequent_indent": "  ", "break_long_words": False, "break_on_hyphens": False}
_UNKNOWN_STEPS = textwrap.fill(
    "Steps, and epochs: auto, depend on the number of training images, which --image does not say: epochs are at least "
    "as many as in the table. After dvc repro prepare, deepen models without --image gives the exact numbers.",
    80,
)
_LEGEND = textwrap.fill(
    "layers: those with weights. MFLOPs: to take one image through. sees: the side in pixels of what one place after "
    "the last convolution or pool sees of the image.",
    80,
)


def _warn_of_memory(settings: "Settings", plans: "Plans", images: int) -> None:
    """The ladder may be for a larger machine, so that models too large for this one are a warning here."""
    from deepen.growth.capacity import memory_faults
    from deepen.runtime.machine import get_device_memory

    with suppress(InputError):  # the device may be on that machine too
        for fault in memory_faults(settings, plans, images, get_device_memory(settings.device)):
            print(f"warning: {fault}", file=sys.stderr)


def _images(options: argparse.Namespace) -> tuple[tuple[int, int, int], int, int]:
    """The shape of an image, the number of classes, and that of training images: UNKNOWN where there are none yet."""
    from deepen.data.images import load_images

    if options.image is None:
        path = options.project / TRAIN
        if not path.is_file():
            raise InputError(f"{path}: missing; run dvc repro prepare, or say --image 3x32x32")
        images = load_images(path)
        return images.shape, len(images.classes), len(images)
    image = parse_image(options.image)
    if options.classes < 2:
        raise InputError(f"--classes {options.classes}: must be at least 2; write for example --classes 10")
    return image, options.classes, UNKNOWN


def parse_image(text: str) -> tuple[int, int, int]:
    """The shape (channels, height, width) that --image says."""
    sides = text.split("x")
    if len(sides) != 3 or not all(side.isascii() and side.isdecimal() and 0 < int(side) <= 65_536 for side in sides):
        raise InputError(f"--image {text[:60]}: must be channels, height and width; write for example --image 3x32x32")
    channels, height, width = map(int, sides)
    return channels, height, width
