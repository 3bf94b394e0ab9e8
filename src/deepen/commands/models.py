"""`deepen models`: the ladder of params.yaml, laid out."""

import argparse
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabulate import tabulate

from deepen.errors import InputError

if TYPE_CHECKING:
    from deepen.ladder import Plans
    from deepen.settings import Settings

TRAIN = Path("data/train.safetensors")


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = commands.add_parser(
        "models",
        help="the ladder: layers, parameters, operations, receptive field",
        description="Print the models of params.yaml, laid out for the images that dvc repro prepared or those that "
        "--image describes.",
    )
    parser.add_argument("--image", metavar="CxHxW", help="shape of an image, for example 3x32x32")
    parser.add_argument(
        "--classes", type=int, metavar="N", help="how many classes, with --image (default: 10)", default=10
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--project", type=Path, default=Path(), metavar="FOLDER", help="default: this folder")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from deepen.ladder import plan_ladder
    from deepen.layers import forward_flops, parameters, receptive_field, training_flops
    from deepen.notation import weight_layers
    from deepen.settings import load_settings

    settings = load_settings(options.project / "params.yaml")
    image, classes, images = _images(options)
    image = settings.seen(image)
    plans = plan_ladder(settings, image, classes)
    rows = [
        {
            "model": name,
            "after": model.after,
            "weight layers": weight_layers(model.layers),
            "parameters": parameters(plans[name]),
            "MFLOPs an image": forward_flops(plans[name]) / 1e6,
            "MFLOPs to learn from one": training_flops(plans[name]) / 1e6,
            "receptive field": receptive_field(plans[name]),
            "layers": model.layers,
        }
        for name, model in settings.models.items()
    ]
    if options.json:
        print(json.dumps(rows, indent=1))
    else:
        print(tabulate(rows, "keys", intfmt=",", floatfmt=",.1f"))
        print(f"\nfor images of {'x'.join(map(str, image))} in {classes} classes, width {settings.width:g}")
    _warn_of_memory(settings, plans, images)


def _warn_of_memory(settings: "Settings", plans: "Plans", images: int) -> None:
    """The ladder may be for a larger machine, so that models too large for this one are a warning here."""
    from deepen.capacity import memory_faults
    from deepen.machine import device_memory

    with suppress(InputError):  # the device may be on that machine too
        for fault in memory_faults(settings, plans, images, device_memory(settings.device)):
            print(f"warning: {fault}", file=sys.stderr)


def _images(options: argparse.Namespace) -> tuple[tuple[int, int, int], int, int]:
    """The shape of an image, the number of classes, and that of training images: endless where there are none yet."""
    from deepen.images import load_images

    if options.image is None:
        path = options.project / TRAIN
        if not path.is_file():
            raise InputError(f"{path}: missing; run dvc repro prepare, or say --image 3x32x32")
        images = load_images(path)
        return images.shape, len(images.classes), len(images)
    image = parse_image(options.image)
    if options.classes < 2:
        raise InputError(f"--classes {options.classes}: must be at least 2; write for example --classes 10")
    return image, options.classes, sys.maxsize


def parse_image(text: str) -> tuple[int, int, int]:
    """The shape (channels, height, width) that --image says."""
    sides = text.split("x")
    if len(sides) != 3 or not all(side.isascii() and side.isdecimal() and 0 < int(side) <= 65_536 for side in sides):
        raise InputError(f"--image {text[:60]}: must be channels, height and width; write for example --image 3x32x32")
    channels, height, width = map(int, sides)
    return channels, height, width
