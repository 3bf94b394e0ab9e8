"""`deepen predict`: predict the most probable classes of image files."""

import argparse
import glob
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from deepen.cli.arguments import (
    add_command,
    add_device,
    make_choice_type,
    parse_file_name,
    parse_whole_number,
)
from deepen.cli.missing_path import suggest_path
from deepen.cli.prediction_formats import FilePrediction, write_csv, write_json, write_table
from deepen.cli.weights_file import add_weights, check_weights
from deepen.core.counts import pluralize
from deepen.core.errors import InputError, quote, trim
from deepen.core.notes import print_warnings


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = add_command(
        commands,
        "predict",
        "predict the most probable classes of images",
        "Classify images with a trained network: print the most probable classes of each image, with probabilities. "
        "Images may have any size: each is turned upright, resized and centre-cropped to the network's size. If the "
        "network was trained with flips, probabilities are averaged over each image and its mirror image.",
        [
            "deepen predict weights/III.safetensors photo.jpg",
            "deepen predict weights/III.safetensors photos/ --csv > predictions.csv",
            "find . -name '*.jpg' | deepen predict weights/III.safetensors --top 1 -",
        ],
    )
    add_weights(parser)
    parser.add_argument(
        "images",
        type=parse_file_name,
        nargs="+",
        metavar="IMAGE",
        help="a file, a folder (all images below it), a pattern such as 'photos/*.jpg', or - to read file names from "
        "standard input, one per line or separated by null characters, as from find -print0",
    )
    parser.add_argument(
        "--top", type=parse_whole_number, default=5, metavar="K", help="number of classes per image (default: 5)"
    )
    _add_formats(parser)
    parser.add_argument("--single-view", action="store_true", help="do not average over mirror images")
    add_views(parser)
    add_device(parser)
    parser.set_defaults(run=_run, write=write_table)


def _add_formats(parser: argparse.ArgumentParser) -> None:
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--json", dest="write", action="store_const", const=write_json, help="print a JSON array, one image per line"
    )
    form.add_argument(
        "--csv",
        dest="write",
        action="store_const",
        const=write_csv,
        help="print CSV in UTF-8, a row per image and class",
    )


def add_views(parser: argparse.ArgumentParser) -> None:
    """Add the option --views."""
    parser.add_argument(
        "--views",
        type=make_choice_type("centre", "shifts", "crops", "dense"),
        default="centre",
        metavar="VIEWS",
        help="evaluate the centre, or also its shifts by one pixel; for a network trained on crops of larger images: "
        "crops (a 5x5 grid), or dense (all positions, with fully-connected layers as convolutions); probabilities are "
        "averaged (default: centre)",
    )


def _run(options: argparse.Namespace) -> None:
    from deepen.inference.classifier import Classifier

    if options.top < 1:
        raise InputError(f"--top {options.top}: must be at least 1; write for example --top 5")
    check_weights(options.weights)
    files = list(_list_files(options.images))
    flips = False if options.single_view else None
    network = Classifier(options.weights, options.device, flips, options.views, options.precision)
    faults: list[str] = []
    notes: list[str] = []
    predicted = count()

    def predict() -> Iterator[FilePrediction]:
        for file, prediction in zip(files, network.stream(files), strict=True):
            best = None
            if prediction.probabilities is not None:
                order = (-prediction.probabilities).argsort(kind="stable")[: options.top]
                best = [(network.classes[i], float(prediction.probabilities[i])) for i in order]
            faults.extend(filter(None, [prediction.fault]))
            notes.extend(prediction.notes)
            next(predicted)
            yield FilePrediction(file, best, prediction.fault, prediction.notes)

    try:
        options.write(predict())
    except KeyboardInterrupt:
        _exit_interrupted(f"interrupted after {next(predicted):,} of {pluralize(len(files), 'image')}")
    print_warnings(notes)
    if faults:
        raise InputError(trim(faults))


def _exit_interrupted(message: str) -> None:
    """End the process at once, without waiting for images that are being decoded."""
    with suppress(OSError):
        sys.stdout.flush()
    print(message, file=sys.stderr, flush=True)
    os._exit(130)  # the exit code that shells use after Ctrl-C


def _list_files(arguments: Iterable[str]) -> Iterator[Path]:
    """Return the files that the arguments name, in order; raise InputError with every argument that names none."""
    faults: list[str] = []
    for argument in arguments:
        if argument == "-":
            yield from map(Path, _split_names(sys.stdin.buffer.read()))
            continue
        try:
            os.stat(argument)
            matches = [argument]
        except (FileNotFoundError, NotADirectoryError):
            matches = _match_pattern(argument, faults)
        except OSError as error:
            faults.append(f"{quote(argument)}: can't be read ({error.strerror}); make it readable, or leave it out")
            continue
        for path in map(Path, matches):
            yield from _list_images(path, faults) if path.is_dir() else [path]
    if faults:
        raise InputError(trim(faults))


def _match_pattern(pattern: str, faults: list[str]) -> list[str]:
    """Return the paths that match a pattern; add a fault if there are none or a folder can't be listed."""
    matches = sorted(glob.glob(pattern, recursive=True))
    folders = [name for parent in Path(pattern).parents for name in glob.glob(str(parent), recursive=True)]
    closed = [name for name in folders if os.path.isdir(name) and not os.access(name, os.R_OK | os.X_OK)]
    faults += [f"{quote(name)}: can't be listed (Permission denied); make it readable" for name in closed]
    if not matches and not closed:
        if glob.has_magic(pattern):
            faults.append(f"{quote(pattern)}: matches no file; check the pattern")
        else:
            faults.append(f"{quote(pattern)}: no such file or folder{suggest_path(Path(pattern))}")
    return matches


def _list_images(folder: Path, faults: list[str]) -> list[Path]:
    """Return all images below a folder, sorted by name; print which files are skipped."""
    from deepen.datasets.walk import Walk
    from deepen.decoding.formats import NAMES

    walk = Walk(folder)
    images = sorted(folder / image.path for image in walk if image.read is not None)
    faults += [f"{quote(folder)}: {fault}" for fault in walk.faults]
    for note in walk.notes:
        print(f"{quote(folder)}: {note}", file=sys.stderr)
    if not images and not walk.faults:
        faults.append(f"{quote(folder)}: no images found; add {NAMES} files")
    return images


def _split_names(content: bytes) -> list[str]:
    separator = b"\0" if b"\0" in content else b"\n"
    names = [os.fsdecode(name.removesuffix(b"\r")) for name in content.split(separator) if name.strip()]
    if not names:
        print("warning: no file names on standard input", file=sys.stderr)
    return names
