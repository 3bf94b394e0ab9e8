"""`deepen predict`: the most probable classes of image files."""

import argparse
import glob
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from deepen.cli.answers import Answer, write_csv, write_json, write_table
from deepen.cli.missing_path import suggest_path
from deepen.cli.weights_file import add_weights, check_weights
from deepen.cli.words import add_command, add_device, one_of, whole_number
from deepen.core.counts import counted
from deepen.core.errors import InputError, plain, some
from deepen.core.notes import print_warnings


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = add_command(
        commands,
        "predict",
        "the most probable classes of images",
        "Ask a trained network what is on images: print the most probable classes of each, with their probabilities. "
        "Images may have any size: each is turned upright, resized and centre-cropped to the network's. Where the "
        "network's data may be flipped, probabilities are the mean over an image and its mirror image.",
        [
            "deepen predict weights/III.safetensors photo.jpg",
            "deepen predict weights/III.safetensors photos/ --csv > found.csv",
            "find . -name '*.jpg' | deepen predict weights/III.safetensors --top 1 -",
        ],
    )
    add_weights(parser)
    parser.add_argument(
        "images",
        nargs="+",
        metavar="IMAGE",
        help="a file, a folder (all images below it), a pattern such as 'photos/*.jpg', or - for a list of files on "
        "standard input, one a line or, as find -print0 writes it, with null characters between",
    )
    parser.add_argument(
        "--top", type=whole_number, default=5, metavar="K", help="how many classes an image (default: 5)"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--json", dest="write", action="store_const", const=write_json, help="a JSON array, one image a line"
    )
    form.add_argument(
        "--csv", dest="write", action="store_const", const=write_csv, help="CSV in UTF-8, a row an image and class"
    )
    parser.add_argument("--single-view", action="store_true", help="of the image alone, without its mirror image")
    add_views(parser)
    add_device(parser)
    parser.set_defaults(run=_run, write=write_table)


def add_views(parser: argparse.ArgumentParser) -> None:
    """Add the option that says what a network looks at."""
    parser.add_argument(
        "--views",
        type=one_of("centre", "crops", "dense"),
        default="centre",
        metavar="VIEWS",
        help="for a network trained on views of larger images: centre, crops (a grid of 5x5), or dense (everywhere, "
        "its fully-connected layers as convolutions); probabilities are the mean (default: centre)",
    )


def _run(options: argparse.Namespace) -> None:
    from deepen.inference.classifier import Classifier

    if options.top < 1:
        raise InputError(f"--top {options.top}: must be at least 1; write for example --top 5")
    check_weights(options.weights)
    files = list(_files(options.images))
    network = Classifier(options.weights, options.device, False if options.single_view else None, options.views)
    faults: list[str] = []
    notes: list[str] = []
    answered = count()

    def found() -> Iterator[Answer]:
        for file, answer in zip(files, network.stream(files), strict=True):
            best = None
            if answer.probabilities is not None:
                order = (-answer.probabilities).argsort(kind="stable")[: options.top]
                best = [(network.classes[i], float(answer.probabilities[i])) for i in order]
            faults.extend(filter(None, [answer.fault]))
            notes.extend(answer.notes)
            next(answered)
            yield Answer(file, best, answer.fault, answer.notes)

    try:
        options.write(found())
    except KeyboardInterrupt:
        _stop(f"interrupted after {next(answered):,} of {counted(len(files), 'image')}")
    print_warnings(notes)
    if faults:
        raise InputError(some(faults))


def _stop(message: str) -> None:
    """End the process at once, with images in the midst of being decoded."""
    with suppress(OSError):
        sys.stdout.flush()
    print(message, file=sys.stderr, flush=True)
    os._exit(130)  # as a shell has it for a process that Ctrl-C ended


def _files(words: Iterable[str]) -> Iterator[Path]:
    """The files that the command line names, in its order; raises InputError with every word that names none."""
    faults: list[str] = []
    for word in words:
        if word == "-":
            yield from map(Path, _listed(sys.stdin.buffer.read()))
            continue
        try:
            os.stat(word)
            matches = [word]
        except (FileNotFoundError, NotADirectoryError):
            matches = _matches(word, faults)
        except OSError as error:
            faults.append(f"{plain(word)}: can't be read ({error.strerror}); make it readable or leave it out")
            continue
        for path in map(Path, matches):
            yield from _below(path, faults) if path.is_dir() else [path]
    if faults:
        raise InputError(some(faults))


def _matches(pattern: str, faults: list[str]) -> list[str]:
    """What a pattern matches; adds a fault where that is nothing, or a folder on the way can't be listed."""
    matches = sorted(glob.glob(pattern, recursive=True))
    folders = [name for parent in Path(pattern).parents for name in glob.glob(str(parent), recursive=True)]
    closed = [name for name in folders if os.path.isdir(name) and not os.access(name, os.R_OK | os.X_OK)]
    faults += [f"{plain(name)}: can't be listed (Permission denied); make it readable" for name in closed]
    if not matches and not closed:
        if glob.has_magic(pattern):
            faults.append(f"{plain(pattern)}: matches no file; see its spelling")
        else:
            faults.append(f"{plain(pattern)}: no such file or folder{suggest_path(Path(pattern))}")
    return matches


def _below(folder: Path, faults: list[str]) -> list[Path]:
    """All images below a folder, in the order of their names; tells what is skipped."""
    from deepen.datasets.walk import Walk
    from deepen.decoding.formats import NAMES

    walk = Walk(folder)
    found = sorted(folder / image.path for image in walk if image.read is not None)
    faults += [f"{plain(folder)}: {fault}" for fault in walk.faults]
    for note in walk.notes:
        print(f"{plain(folder)}: {note}", file=sys.stderr)
    if not found and not walk.faults:
        faults.append(f"{plain(folder)}: holds no image; put {NAMES} files there")
    return found


def _listed(content: bytes) -> list[str]:
    separator = b"\0" if b"\0" in content else b"\n"
    names = [os.fsdecode(name.removesuffix(b"\r")) for name in content.split(separator) if name.strip()]
    if not names:
        print("warning: standard input names no file", file=sys.stderr)
    return names
