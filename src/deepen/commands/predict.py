"""`deepen predict`: the most probable classes of image files."""

import argparse
import csv
import glob
import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tabulate import tabulate

from deepen.errors import InputError, plain, some

Found = tuple[Path, list[tuple[str, float]] | None, str]  # file, (class, probability) by rank, or why it can't be read


def add(commands: Any) -> None:
    """Add the command to argparse's `commands`."""
    parser = commands.add_parser(
        "predict",
        help="the most probable classes of images",
        description="Print the most probable classes of images, with their probabilities. Images of any size: each "
        "is turned upright, resized and centre-cropped to the network's. Where the network's data may be flipped, "
        "probabilities are the mean over an image and its mirror image.",
        epilog="examples: deepen predict weights/III.safetensors photo.jpg photos/; "
        "find . -name '*.jpg' -print0 | deepen predict weights/III.safetensors --csv - > found.csv",
    )
    parser.add_argument("weights", type=Path, metavar="WEIGHTS", help="for example weights/III.safetensors")
    parser.add_argument(
        "images",
        nargs="+",
        metavar="IMAGE",
        help="a file, a folder (all images below it), a pattern such as 'photos/*.jpg', or - for a list of files on "
        "standard input, one a line or, as find -print0 writes it, with null characters between",
    )
    parser.add_argument("--top", type=int, default=5, metavar="K", help="how many classes an image (default: 5)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--json", dest="write", action="store_const", const=_write_json, help="a JSON array, one image a line"
    )
    form.add_argument(
        "--csv", dest="write", action="store_const", const=_write_csv, help="CSV, a row an image and class"
    )
    parser.add_argument("--single-view", action="store_true", help="of the image alone, without its mirror image")
    add_views(parser)
    parser.add_argument("--device", default="auto", help="auto, cpu, mps, cuda or cuda:1 (default: auto)")
    parser.set_defaults(run=_run, write=_write_table)


def add_views(parser: argparse.ArgumentParser) -> None:
    """Add the option that says what a network looks at."""
    parser.add_argument(
        "--views",
        choices=("centre", "crops", "dense"),
        default="centre",
        help="of a network trained on a view of larger images: its centre, a grid of 5x5 crops, or, its "
        "fully-connected layers as convolutions, everywhere; probabilities are the mean (default: centre)",
    )


def _run(options: argparse.Namespace) -> None:
    from deepen.prediction import Classifier

    if options.top < 1:
        raise InputError(f"--top {options.top}: must be at least 1; write for example --top 5")
    files = list(_files(options.images))
    network = Classifier(options.weights, options.device, False if options.single_view else None, options.views)
    failed = []

    def found() -> Iterator[Found]:
        for file, answer in zip(files, network.stream(files), strict=True):
            if answer.probabilities is None:
                failed.append(answer.fault)
                yield file, None, answer.fault
            else:
                best = (-answer.probabilities).argsort(kind="stable")[: options.top]
                yield file, [(network.classes[i], float(answer.probabilities[i])) for i in best], ""

    options.write(found())
    if failed:
        raise InputError(some(failed))


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
        faults.append(f"{plain(pattern)}: is no file or folder, nor a pattern that matches any; see its spelling")
    return matches


def _below(folder: Path, faults: list[str]) -> list[Path]:
    """All images below a folder, in the order of their names; tells what is skipped."""
    from deepen.datasets.walk import Walk
    from deepen.formats import NAMES

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
    return [os.fsdecode(name) for name in content.split(separator) if name.strip()]


def _write_table(found: Iterable[Found]) -> None:
    rows = [
        [plain(file), *(f"{name} {100 * probability:.1f} %" for name, probability in best)]
        for file, best, _ in found
        if best is not None
    ]
    if rows:
        print(tabulate(rows, ["image", *map(str, range(1, len(rows[0])))], disable_numparse=True))


def _write_json(found: Iterable[Found]) -> None:
    before = "[\n"
    for file, best, fault in found:
        classes = [{"class": name, "probability": round(probability, 6)} for name, probability in best or ()]
        row = {"image": os.fspath(file), "classes": classes} | ({"error": fault} if fault else {})
        print(before + json.dumps(row), end="")
        before = ",\n"
    print("\n]" if before != "[\n" else "[]")


def _write_csv(found: Iterable[Found]) -> None:
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["image", "rank", "class", "probability"])
    for file, best, _ in found:
        table.writerows([plain(file), rank, name, f"{p:.6f}"] for rank, (name, p) in enumerate(best or (), 1))
