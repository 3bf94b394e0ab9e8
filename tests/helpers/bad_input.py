"""The corpus of bad input: files and settings that the project must reject with a clear error, and those errors.

`python tests/helpers/bad_input.py` writes docs/bad-input.md: every case with its answer.
"""

import contextlib
import copy
import gzip
import io
import json
import os
import pickle
import random
import re
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import torch
import yaml_text
from PIL import Image
from pydantic import ValidationError
from safetensors.torch import save, save_file
from tensors import draw_he_weights

from deepen.config.settings import load_settings
from deepen.core.errors import InputError
from deepen.datasets.folder import load_folder
from deepen.datasets.tables.choice import TableChoice
from deepen.growth.ladder import plan_ladder
from deepen.models.networks import load_network
from deepen.models.tensors import compute_tensors_checksum
from deepen.models.weights import ModelCard, save_weights

ROOT = Path(__file__).parents[2]
Case = Callable[[Path], object]  # makes the input in a folder, reads it, and raises what the project answers


# Settings: each key with a value of another type and one out of range, and what a list of such can't have.

GOOD = yaml_text.load((ROOT / "params.yaml").read_text())


def leaves(node: dict, path: tuple[str, ...] = ()):
    for key, value in node.items():
        yield from leaves(value, (*path, key)) if isinstance(value, dict) else [((*path, key), value)]


def changed(path: tuple[str, ...], value: object) -> dict:
    content = copy.deepcopy(GOOD)
    node = content
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return content


def settings(text: str) -> Case:
    def read(folder: Path):
        (folder / "params.yaml").write_text(text)
        found = load_settings(folder / "params.yaml")
        plan_ladder(found, found.view_shape((3, 32, 32)), 10)

    return read


def params_cases() -> dict[str, Case]:
    cases = {}
    for path, value in leaves(GOOD):
        any_text = path[-1] == "labels" or path[-2:-1] == ("columns",)
        is_text = any_text or (isinstance(value, str) and value != "auto" and path[-1] != "patience")
        wrong = [3, ""] if is_text else ["text", -1]
        for bad in wrong:
            if not (isinstance(value, bool) and bad == ""):
                cases[f"{'.'.join(path)}: {json.dumps(bad)}"] = settings(yaml_text.dump(changed(path, bad)))
    I = GOOD["models"]["I"]  # noqa: E741
    structure = {
        "lr: .inf": (("lr",), float("inf")),
        "lr: 1.0e+39, more than float32 holds": (("lr",), 1e39),
        "lr: 1e-50, 0 in float32": (("lr",), 1e-50),
        "lr of a recipe: 1e39": (("recipes", "onecycle", "training", "lr"), 1e39),
        "grown_lr: 1e39": (("recipes", "onecycle", "training", "grown_lr"), 1e39),
        "color_shift: 1e38": (("recipes", "onecycle", "training", "color_shift"), 1e38),
        "weight_decay: 1e38": (("recipes", "onecycle", "training", "optimizer", "weight_decay"), 1e38),
        "momentum: 0.9999": (("recipes", "onecycle", "training", "optimizer", "momentum"), 0.9999),
        "label_smoothing: 0.99": (("recipes", "onecycle", "training", "label_smoothing"), 0.99),
        "dropout: 0.99": (("recipes", "onecycle", "training", "dropout"), 0.99),
        "batch_size: 10**12": (("recipes", "onecycle", "training", "batch_size"), 10**12),
        "patience: 10**12": (("recipes", "published", "training", "schedule", "patience"), 10**12),
        "epochs: 10**12": (("models", "I", "epochs"), 10**12),
        "epochs of a recipe: 10**12": (("recipes", "onecycle", "training", "epochs"), [3, 10**12]),
        "epochs of a recipe: none": (("recipes", "onecycle", "training", "epochs"), []),
        "least_images: 10**13": (("datasets", "digits", "least_images"), 10**13),
        "checkpoint_seconds: 1e39": (("checkpoint_seconds",), 1e39),
        "seed: 2**63": (("seed",), 2**63),
        "device: cuda:01": (("device",), "cuda:01"),
        "root of 5,000 characters": (("datasets", "folder", "root"), "x/" * 2500),
        "root with a name of 300 bytes": (("datasets", "folder", "root"), "é" * 150),
        "root with a NUL": (("datasets", "folder", "root"), "a\0b"),
        "root with a line break": (("datasets", "folder", "root"), "a\nb"),
        "root with a lone surrogate": (("datasets", "folder", "root"), "a\udc80"),
        "start with a NUL": (("models", "I", "start"), "a\0-0a1b2c3d.safetensors"),
        "start of 5,000 characters": (("models", "I", "start"), "x/" * 2500 + "-0a1b2c3d.safetensors"),
        "data with an escape sequence": (("data",), "\x1b[31mred"),
        "depth of 100,000 characters": (("depth",), "x" * 100_000),
        "after with a line break": (("models", "II", "after"), "a\nb"),
        "a key with an escape sequence": (("\x1b[31mred",), 1),
        "a key of 100,000 characters": (("x" * 100_000,), 1),
        "a role of 100,000 characters": (("models", "II", "fresh"), ["x" * 100_000]),
        "1,001 models": (("models",), {f"m{i}": I for i in range(1001)}),
        "width: .nan": (("width",), float("nan")),
        "width: 65": (("width",), 65),
        "width: auto, which leaves no channel": (("datasets", "digits", "width"), 0.001),
        "width: auto, not that of an imported network": (("models", "I", "start"), "imports/x-01234567.safetensors"),
        "a key misspelt: dept": (("dept",), "I"),
        "data misspelt: cifar": (("data",), "cifar"),
        "growth misspelt: identiy": (("growth",), "identiy"),
        "an unknown key": (("models", "I", "lr"), 1),
        "models: a list": (("models",), [I]),
        "models: none": (("models",), {}),
        "models named ../x": (("models", "../x"), I),
        "models named scratch": (("models", "scratch"), I),
        "models III and iii": (("models", "iii"), GOOD["models"]["III"]),
        "a data set named with a line break": (("datasets", "a\nb"), GOOD["datasets"]["digits"]),
        "I grows from III": (("models", "I", "after"), "III"),
        "I grows from itself": (("models", "I", "after"), "I"),
        "II is not deeper than I": (("models", "II", "layers"), I["layers"]),
        "too many pools for the images": (("models", "I", "layers"), "conv3-128 " + "maxpool " * 6 + "fc-1024"),
        "layers: conv3-": (("models", "I", "layers"), "conv3-"),
        "layers: conv0-64": (("models", "I", "layers"), "conv0-64"),
        "layers: a kernel larger than the images": (("models", "I", "layers"), "conv98-64"),
        "layers: a pool larger than the images": (("models", "I", "layers"), "conv3-64 maxpool99"),
        "layers: maxpool1": (("models", "I", "layers"), "conv3-64 maxpool1"),
        "layers: whiten2": (("models", "I", "layers"), "whiten2 conv3-64"),
        "layers: an odd number of whitening filters": (("models", "I", "layers"), "whiten2-7 conv3-64"),
        "layers: more whitening filters than components": (("models", "I", "layers"), "whiten2-1000000 conv3-64"),
        "layers: whitening after a convolution": (("models", "I", "layers"), "conv3-64 whiten2-8"),
        "layers: fc-9 conv3-9": (("models", "I", "layers"), "fc-9 conv3-9"),
        "layers: a million layers": (("models", "I", "layers"), "conv3-1*1000 " * 700),
        "layers: 20,000 characters": (("models", "I", "layers"), "conv3-64 " * 2300),
        "layers of II that III lacks": (("models", "III", "layers"), "conv3-128 maxpool conv3-256*4 maxpool fc-1024*5"),
        "mapping to an unknown layer": (("models", "II", "mapping"), {"conv9_9": "conv1_1"}),
        "dropped, which is not a layer": (("models", "II", "dropped"), ["conv9_9"]),
        "frozen, which is not a layer": (("models", "II", "frozen"), ["conv9_9"]),
        "frozen, which is fresh": (("models", "II", "frozen"), ["fc2"]),
        "frozen: conv1_1, which is not a list": (("models", "II", "frozen"), "conv1_1"),
        "frozen in a model that starts random": (("models", "I", "frozen"), "copied"),
        "a view larger than the images": (("datasets", "digits", "view"), 64),
        "a view larger than size": (("datasets", "folder"), GOOD["datasets"]["folder"] | {"size": 32, "view": 33}),
        "norm: batch in II alone": (("models", "II", "norm"), "batch"),
    }  # fmt: skip
    cases |= {name: settings(yaml_text.dump(changed(path, value))) for name, (path, value) in structure.items()}
    text = (ROOT / "params.yaml").read_text()
    texts = {
        "an empty file": "",
        "a list": "- 1\n- 2\n",
        "half a file": text[: len(text) // 2],
        "a tab for indentation": text.replace("  digits:", "\tdigits:"),
        "a bracket left open": "data: [digits\n",
        "a Python object": "data: !!python/object/apply:os.system ['true']\n",
        "an anchor that holds itself": "data: &a [*a]\n",
        "aliases of aliases (a billion laughs)": "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
        "nested 2,000 deep": "a: " + "[" * 2000 + "]" * 2000,
        "a NUL": "data: \0",
        "epochs: 010, which is 8 to some": text.replace("epochs: auto", "epochs: 010"),
        "seed: 010": text.replace("seed: 0 ", "seed: 010 "),
        "epochs: 0b11": text.replace("epochs: auto", "epochs: 0b11"),
        "epochs: 1_000": text.replace("epochs: auto", "epochs: 1_000"),
        "epochs: 1:30, which is 90 to some": text.replace("epochs: auto", "epochs: 1:30"),
        "flip: yes, which is true to some": text.replace("flip: true", "flip: yes"),
        "seed: empty": text.replace("seed: 0 ", "seed:   "),
        "lr: 1e400": text.replace("lr: auto ", "lr: 1e400 "),
        "seed of 5,000 digits": text.replace("seed: 0 ", f"seed: {'9' * 5000} "),
        "data: 2001-01-01": text.replace("data: digits ", "data: 2001-01-01 "),
        "a key twice": text + "data: digits\n",
        "a model twice": text + "  I:\n    after: scratch\n    layers: conv3-8\n    epochs: 1\n",
        "a model named by a number": text.replace("  III:", "  3:"),
        "a tag": text.replace("seed: 0 ", "seed: !!float 0 "),
        "a tag of a program's own": text.replace("models: ", "models: !mine "),
        "two documents": text + "---\n" + text,
        "YAML 1.1": "%YAML 1.1\n---\n" + text,
        "an alias of a megabyte under a known key": f"data: &a {'x' * 1000}\nmodels: [{'*a,' * 1000}]\n",
        "300,000 characters": text + "#" * 300_000,
    }
    return cases | {name: settings(content) for name, content in texts.items()}


# Images: one bad file among good ones.


def picture(mode="RGB", size=(8, 8), value=None, format="PNG", **options) -> bytes:
    return saved(Image.new(mode, size, value), format, **options)


def saved(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def good_tree(folder: Path) -> Path:
    for label in ("cat", "dog"):
        (folder / "train" / label).mkdir(parents=True)
        for i in range(3):
            (folder / "train" / label / f"{i}.png").write_bytes(picture(value=(60 * i, 10, 100)))
    return folder


def image(content: bytes, name: str = "train/cat/x.png") -> Case:
    def read(folder: Path):
        path = good_tree(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        load_folder(folder, None)

    return read


def placed(place: Callable[[Path], object], name: str = "train/cat/x.png") -> Case:
    """Make something other than a regular file."""

    def read(folder: Path):
        place(good_tree(folder) / name)
        load_folder(folder, None)

    return read


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width=8, height=8, depth=8, color=2, *, more=b"", data=None) -> bytes:
    data = zlib.compress(bytes(height * (1 + 3 * width))) if data is None else data
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + more + (chunk(b"IDAT", data) if data else b"") + chunk(b"IEND", b"")


def many_scans(count: int) -> bytes:
    """Return a progressive JPEG that repeats its last scan."""
    content = picture(format="JPEG", progressive=True)
    return content[:-2] + content[content.rindex(b"\xff\xda") : -2] * count + content[-2:]


def tiff_with(content: bytes, tag: int, value: int, count: int = 1) -> bytes:
    """Return a little-endian TIFF file with another value of a tag."""
    at = struct.unpack_from("<I", content, 4)[0] + 2
    while struct.unpack_from("<H", content, at)[0] != tag:
        at += 12
    return content[: at + 2] + struct.pack("<HII", 4, count, value) + content[at + 12 :]


def image_cases() -> dict[str, Case]:
    noise = Image.frombytes("RGB", (8, 8), random.Random(0).randbytes(192))
    whole = {kind: saved(noise, kind) for kind in ("PNG", "JPEG", "WEBP", "BMP")}
    cases = {
        f"{kind} cut off after {share} of it": image(content[: int(len(content) * part)], f"train/cat/x.{kind.lower()}")
        for kind, content in whole.items()
        for share, part in (("a twentieth", 0.05), ("half", 0.5), ("nine tenths", 0.9))
    }
    jpeg = whole["JPEG"]
    at = jpeg.index(b"\xff\xc0") + 5  # height and width of the frame
    bomb = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(100_000_000)))
    profile = chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(100_000_000)))
    contents = {
        "an empty file": b"",
        "text": b"not an image\n",
        "a web page": b"<!doctype html><title>404</title>",
        "noise": bytes(range(256)) * 8,
        "a PPM named .png": picture(format="PPM"),
        "an SVG named .png": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "a PDF named .png": b"%PDF-1.7\n",
        "a ZIP named .png": b"PK\3\4" + bytes(100),
        "a pickle named .png": pickle.dumps({"a": 1}),
        "PNG of 50,000 x 50,000 pixels in a kilobyte": png(50_000, 50_000, data=zlib.compress(bytes(1000))),
        "PNG of 4,294,967,295 x 1 pixels": png(2**32 - 1, 1, data=b"x"),
        "PNG of width 0": png(0, 8),
        "PNG without pixels": png(data=b""),
        "PNG whose pixels are noise": png(data=bytes(range(200))),
        "PNG of 3 bits a pixel": png(depth=3),
        "PNG of colour type 9": png(color=9),
        "PNG with a wrong checksum": png().replace(b"IDAT", b"IDAU"),
        "JPEG of 65,500 x 65,500 pixels": jpeg[:at] + struct.pack(">HH", 65_500, 65_500) + jpeg[at + 4 :],
        "JPEG of height 0": jpeg[:at] + bytes(2) + jpeg[at + 2 :],
        "JPEG of markers alone": b"\xff\xd8" + b"\xff\xd9",
        "JPEG of 1,000 scans": many_scans(1000),
        "TIFF of floating-point numbers": picture("F", value=0.5, format="TIFF"),
        "TIFF of CIELAB colours": picture("LAB", format="TIFF"),
        "TIFF of 16 bits from white to black": tiff_with(saved(Image.new("I;16", (8, 8)), "TIFF"), 262, 0),
        "TIFF of 100,000,000 strips": tiff_with(picture(format="TIFF"), 279, 0, count=10**8),
        "TIFF whose first directory lies beyond its end": b"II*\0\xff\xff\xff\xff" + bytes(100),
        "GIF cut off": picture("P", format="GIF")[:30],
        "AVIF of a header alone": b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf",
        "BMP of 2,000,000,000 x 2,000,000,000 pixels": whole["BMP"][:18] + struct.pack("<ii", 2 * 10**9, 2 * 10**9) + whole["BMP"][26:],
        "BMP of 99 bits a pixel": whole["BMP"][:28] + struct.pack("<H", 99) + whole["BMP"][30:],
        "WebP whose length lies": whole["WEBP"][:4] + struct.pack("<I", 10) + whole["WEBP"][8:40],
        "another size than the others": picture(size=(9, 9)),
    }  # fmt: skip
    cases |= {name: image(content) for name, content in contents.items()}
    elsewhere = {
        "an image outside the classes": "train/x.png",
        "an image beside the parts": "other/cat/x.png",
        "a class whose name starts with a dot": "train/.net/x.png",
        "a test class that training does not have": "test/emu/x.png",
        "a class named with a line break": "train/a\nb/x.png",
        "a class named to turn the text around": "train/\u202egod/x.png",
        "a class named in no valid encoding": os.fsdecode(b"train/\xff\xfe/x.png"),
        "a class named with an escape sequence": "train/\x1b[31mred/x.png",
        "a class named with a blank at its end": "train/emu /x.png",
    }
    cases |= {name: image(picture(), path) for name, path in elsewhere.items()}
    sound = {
        "named .png and something else, a GIF": picture("P", format="GIF"),
        "named .png and something else, a TIFF": picture(format="TIFF"),
        "sound beside its pixels: 100 MB of text in 100 kB of PNG": png(more=bomb),
        "sound beside its pixels: a colour profile of 100 MB in 100 kB of PNG": png(more=profile),
        "sound beside its pixels: text with a wrong checksum": png(more=chunk(b"tEXt", b"a\0b")[:-1] + b"x"),
        "sound beside its pixels: EXIF that is noise": saved(noise, "JPEG", exif=b"Exif\0\0" + bytes(range(99))),
    }
    cases |= {name: image(content) for name, content in sound.items()}
    harmless = {
        "a file name in no valid encoding": os.fsdecode(b"train/cat/\xff\xfe.png"),
        "a file name with a line break": "train/cat/a\nb.png",
        "a file name that starts with a dash": "train/cat/--help.png",
        "a file name six folders below its class": "train/cat/1/2/3/4/5/6/x.png",
        "a file name of emoji and spaces": "train/cat/ \U0001f408 \U0001f408.png",
        "a class named to be mathematics, a table and a formula": "train/$x_{$ | =1+1,'\"/x.png",
        "a class named with a dash, in Persian": "train/-\u06af\u0631\u0628\u0647/x.png",
    }
    cases |= {name: image(picture(), path) for name, path in harmless.items()}
    return cases | {
        "a pipe, which never ends": placed(os.mkfifo),
        "a link to a device that never ends": placed(lambda path: path.symlink_to("/dev/zero")),
        "a broken link": placed(lambda path: path.symlink_to("nothing")),
        "a link to itself": placed(lambda path: path.symlink_to(path.name)),
        "a file of 1 TB with a hole": placed(lambda path: (path.touch(), os.truncate(path, 10**12))),
        "an empty class": placed(lambda path: path.mkdir(), "train/emu"),
        "a folder test without images": placed(lambda path: path.mkdir(), "test"),
        "two folders for validation": placed(lambda path: [(path / name / "cat").mkdir(parents=True) for name in ("val", "valid")], ""),
        "a link to a folder above": placed(lambda path: path.symlink_to(path.parent), "train/cat/up"),
        "a class that is a link to another": placed(lambda path: path.symlink_to("dog"), "train/emu"),
        "HEIC": image(b"\0\0\0\x18ftypheic" + bytes(100), "train/cat/x.heic"),
        "HEIC named .jpg": image(b"\0\0\0\x18ftypheic" + bytes(100), "train/cat/x.jpg"),
        "raw camera data": image(picture(format="TIFF"), "train/cat/x.NEF"),
        "half an image without a suffix": image(whole["PNG"][:40], "train/cat/x"),
        **{name: laid_out(*paths) for name, paths in LAYOUTS.items()},
        **{f"a table {name}": listed(content) for name, content in TABLES.items()},
    }  # fmt: skip


LAYOUTS = {
    "Train and Test for train and test": ["Train/{}/{}.png", "Test/{}/{}.png"],
    "class folders without train": ["{}/{}.png"],
    "class folders without train, two folders down": ["my photos/all of them/{}/{}.png"],
    "images/ and masks/ without train": ["images/{}-{}.png", "masks/{}-{}.png"],
    "images in train itself": ["train/{}-{}.png"],
    "images beside a table of their classes": ["{}-{}.png", "labels.csv"],
    "images/ and labels/ as YOLO has them": ["images/train/{}-{}.png", "labels/train/{}-{}.txt"],
    "tiny-imagenet with its val/": ["train/{}/images/{}.png", "val/images/{}-{}.png", "val/val_annotations.txt"],
    "test images in no class": ["train/{}/{}.png", "test/{}-{}.png"],
}


TABLES = {
    "with a name that no image has": b"file,label\n0.png,cat\nx.png,dog\n",
    "with a name in another case": b"file,label\n0.PNG,cat\n",
    "with an absolute path of Windows": b"file,label\nC:\\photos\\0.png,cat\n",
    "with a cell without a class": b"file,label\n0.png,\n",
    "with a missing value for a class": b"file,label\n0.png,nan\n1.png,dog\n",
    "with two classes for an image": b"file,label\n0.png,cat\n0.png,dog\n",
    "with several classes in a cell": b"file,label\n0.png,cat|dog\n1.png,cat\n2.png,dog\n",
    "with a column for each class": b"file,cat,dog\n0.png,1,0\n1.png,0,1\n",
    "with an unknown split": b"file,label,split\n0.png,cat,trian\n",
    "with an image in two parts": b"file,label,split\n0.png,cat,train\n0.png,cat,test\n",
    "with a number written in two ways": b"file,label\n0.png,1\n1.png,01\n",
    "with one class": b"file,label\n0.png,cat\n1.png,cat\n",
    "with a class named with an escape sequence": b"file,label\n0.png,\x1b[31mred\n1.png,dog\n",
    "with unknown columns": b"a,b,c\n0.png,cat,x\n",
    "with two columns for the names": b"file,image,label\n0.png,0.png,cat\n",
    "without names of columns": b"0.png,cat\n1.png,dog\n",
    "with rows of unequal length": b"file,label\n0.png,cat,x\n",
    "with an open quote": b'file,label\n0.png,"cat\n1.png,dog\n',
    "in another encoding": b"file,label\n0.png,b\xe4r\n",
    "of one column": b"file\n0.png\n",
    "without rows": b"file,label\n",
    "that is empty": b"",
    "that is an archive": b"PK\3\4\0\0\0",
}


def listed(content: bytes) -> Case:
    """Return images in one folder, with a table of their classes."""

    def read(folder: Path):
        for i in range(3):
            (folder / f"{i}.png").write_bytes(picture())
        (folder / "labels.csv").write_bytes(content)
        load_folder(folder, None, choice=TableChoice("labels.csv", base=folder, entry="folder"))

    return read


def laid_out(*paths: str) -> Case:
    """Return images of two classes at these paths."""

    def read(folder: Path):
        for path in {path.format(label, i) for path in paths for label in ("cat", "dog") for i in range(3)}:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(picture() if path.endswith(".png") else b"x")
        load_folder(folder, None)

    return read


# Archives.


def archive(make: Callable[[Path], object]) -> Case:
    def read(folder: Path):
        make(folder / "x")
        load_folder(folder / "x", None)

    return read


def tree() -> dict[str, bytes]:
    return {f"train/{label}/{i}.png": picture(value=(60 * i, 10, 100)) for label in ("cat", "dog") for i in range(3)}


def tar(path: Path, files: dict[str, bytes], kind: str = "", more: Callable[[tarfile.TarFile], object] | None = None):
    with tarfile.open(path, f"w:{kind}", format=tarfile.PAX_FORMAT) as file:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
        if more:
            more(file)


def member(name: str, **fields: object) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(found, field, value)
    return found


def special(**fields: object) -> Case:
    return archive(lambda path: tar(path, tree(), more=lambda file: file.addfile(member("train/cat/x.png", **fields))))


def sparse(sizes: list[int]) -> Case:
    """Return members of the stated sizes, as sparse files."""

    def add(file: tarfile.TarFile):
        for i, size in enumerate(sizes):
            headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(size)}
            content = b"1\n0\n0\n".ljust(512, b"\0")
            file.addfile(member(f"train/cat/x{i}.png", size=512, pax_headers=headers), io.BytesIO(content))

    return archive(lambda path: tar(path, tree(), more=add))


def zipped(files: dict[str | zipfile.ZipInfo, bytes], edit: Callable[[bytes], bytes] = bytes, **options) -> Case:
    def make(path: Path):
        with zipfile.ZipFile(path, "w", **options) as file:
            for name, content in files.items():
                file.writestr(name, content)
        path.write_bytes(edit(path.read_bytes()))

    return archive(make)


def named_in(encoding: str, name: str) -> Case:
    """Return a zip whose names are in an encoding that it does not declare."""
    raw = name.encode(encoding)
    held = "@" * len(raw)
    return zipped(tree() | {f"train/{held}/1.png": picture()}, lambda content: content.replace(held.encode(), raw))


def cut(kind: str, share: float) -> Case:
    def make(path: Path):
        tar(path, tree(), kind)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])

    return archive(make)


def zip_entry(name: str, mode: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = mode << 16
    return entry


def latin_1() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT, encoding="latin-1") as content:
        content.addfile(tarfile.TarInfo("train/\u00c4pfel/1.png"))
    return file.getvalue()


def many_empty(count: int) -> bytes:
    """Return a .tar.gz that repeats one empty file."""
    return gzip.compress(tarfile.TarInfo("train/cat/x.txt").tobuf() * count + bytes(1024), 1)


def archive_cases() -> dict[str, Case]:
    x = picture()
    cases = {f"{kind or 'tar'} cut off": cut(kind, 0.6) for kind in ("", "gz", "xz", "bz2")}
    for name in (
        "../train/cat/1.png",
        "train/../../etc/1.png",
        "/train/cat/1.png",
        "train\\cat\\1.png",
        "C:/train/cat/1.png",
    ):
        cases[f"tar with {name}"] = archive(lambda path, name=name: tar(path, tree() | {name: x}))
        cases[f"zip with {name}"] = zipped(tree() | {name: x})
    bomb = bytes(300_000_000)
    return cases | {
        "a missing path": lambda folder: load_folder(folder / "x", None),
        "an empty file": archive(lambda path: path.touch()),
        "noise": archive(lambda path: path.write_bytes(bytes(range(256)) * 100)),
        "gz that is not a tar": archive(lambda path: path.write_bytes(b"\x1f\x8b\x08" + bytes(range(200)))),
        "a 7z": archive(lambda path: path.write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(100))),
        "tar with no image": archive(lambda path: tar(path, {"README": b"x"})),
        "tar with a symbolic link": special(type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        "tar with a hard link": special(type=tarfile.LNKTYPE, linkname="/etc/passwd"),
        "tar with a character device": special(type=tarfile.CHRTYPE, devmajor=1, devminor=5),
        "tar with a block device": special(type=tarfile.BLKTYPE),
        "tar with a pipe": special(type=tarfile.FIFOTYPE),
        "tar with a file twice": archive(lambda path: tar(path, tree() | {"./train/cat/1.png": x})),
        "tar with a file of 1 TB, all holes": sparse([10**12]),
        "tar with six files of 250 MB, all holes": sparse([250_000_000] * 6),
        "tar with a header of 2 MB": archive(lambda path: tar(path, tree() | {"train/cat/" + "x" * 2_000_000: x})),
        "tar.gz with a file of 300 MB in 300 kB": archive(lambda path: tar(path, tree() | {"train/cat/x.png": bomb}, "gz")),
        "tar with a wrong checksum": archive(lambda path: (tar(path, tree()), path.write_bytes(path.read_bytes().replace(b"train/dog/1", b"train/dot/1")))),
        "tar with sizes that are not numbers": archive(lambda path: (tar(path, tree()), path.write_bytes(path.read_bytes().replace(b"00000000115", b"zzzzzzzzzzz")))),
        "zip with a symbolic link": zipped(tree() | {zip_entry("train/cat/x.png", stat.S_IFLNK | 0o777): b"/etc/passwd"}),
        "zip with a device": zipped(tree() | {zip_entry("train/cat/x.png", stat.S_IFCHR | 0o666): b""}),
        "zip with a file of 300 MB in 300 kB": zipped(tree() | {"train/cat/x.png": bomb}, compression=zipfile.ZIP_DEFLATED),
        "zip with names of Japanese Windows": named_in("cp932", "猫"),
        "zip with names of German Windows": named_in("cp850", "Äpfel"),
        "zip with names of Russian Windows": named_in("cp866", "кошка"),
        "tar with names in Latin-1": archive(lambda path: path.write_bytes(latin_1())),
        "zip with a class twice, its accents composed and decomposed": zipped(tree() | {"train/\u00e9/1.png": x, "train/e\u0301/2.png": x}),
        "tar.gz with 200,000 empty files in 2 MB": archive(lambda path: path.write_bytes(many_empty(200_000))),
        "zip cut off": zipped(tree(), lambda content: content[: len(content) // 2]),
        "zip whose directory is cut": zipped(tree(), lambda content: content[:-40] + content[-22:]),
        "zip with a wrong checksum": zipped(tree(), lambda content: content.replace(b"IEND", b"IENE")),
        "zip with a password": zipped(tree(), lambda content: content.replace(b"PK\1\2\x14\3\x14\0\0", b"PK\1\2\x14\3\x14\0\1").replace(b"PK\3\4\x14\0\0", b"PK\3\4\x14\0\1")),
        "zip with an unknown compression method": zipped(tree(), lambda content: content.replace(b"PK\1\2\x14\3\x14\0\0\0\0\0", b"PK\1\2\x14\3\x14\0\0\0\x63\0")),
    }  # fmt: skip


# Weights.

CARD = ModelCard(model="I", layers="conv3-8 maxpool fc-16", width=0.5, image=(3, 8, 8), classes=("cat", "dog"),
                 mean=(0.5, 0.4, 0.3), flip=True)  # fmt: skip
STATE = draw_he_weights(CARD.plan(), seed=0, model="I")


def weights_bytes(content: bytes) -> Case:
    def read(folder: Path):
        (folder / "x").write_bytes(content)
        load_network(folder / "x")

    return read


def weights(state=STATE, card: dict | str | None = None) -> Case:
    """Write a valid file, but for these changes of its metadata, or this text in their place."""
    if not isinstance(card, str):
        content = {**json.loads(CARD.model_dump_json(exclude_none=True)), **(card or {})}
        with contextlib.suppress(ValidationError):
            text = ModelCard.model_validate_json(json.dumps(content)).model_dump_json(exclude_none=True)
            content["sha256"] = compute_tensors_checksum(text, state)
    text = card if isinstance(card, str) else json.dumps(content)

    def read(folder: Path):
        save_file(state, folder / "x", metadata={"deepen": text})
        load_network(folder / "x")

    return read


def header(content: object) -> Case:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return weights_bytes(struct.pack("<Q", len(text)) + text + bytes(100))


def with_value(key: str, value: float) -> dict:
    state = {name: tensor.clone() for name, tensor in STATE.items()}
    state[key].view(-1)[-1] = value
    return state


def weights_cases() -> dict[str, Case]:
    with tempfile.TemporaryDirectory() as name:
        save_weights(Path(name) / "x", STATE, CARD)
        whole = (Path(name) / "x").read_bytes()
    tensor = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    cards = {
        "version: 1": {"version": 1}, "version: 3": {"version": 3}, "an unknown key": {"lr": 1}, "layers: conv3-": {"layers": "conv3-"},
        "layers of 700,000 layers": {"layers": "conv3-1*1000 " * 700}, "width: 0": {"width": 0},
        "width: 1e9": {"width": 1e9}, "width: text": {"width": "0.5"}, "image: two numbers": {"image": [3, 8]},
        "image: a side of 10**9": {"image": [3, 10**9, 8]}, "image too small for its pools": {"image": [3, 1, 1]},
        "one class": {"classes": ["cat"]}, "a class with a line break": {"classes": ["cat", "d\nog"]},
        "two classes of one name": {"classes": ["cat", "cat"]}, "a class without a name": {"classes": ["cat", ""]},
        "a class that ends in a blank": {"classes": ["cat", "dog "]}, "an image of 45 megapixels": {"image": [3, 6690, 6690]},
        "mean of two channels": {"mean": [0.5, 0.5]}, "mean: 128": {"mean": [128, 0.5, 0.5]},
        "model: ../../x": {"model": "../../x"}, "flip: 1": {"flip": 1}, "layers of another network": {"layers": "conv3-8 fc-16"},
        "more classes than outputs": {"classes": ["a", "b", "c"]},
    }  # fmt: skip
    return {f"metadata, {name}": weights(card=card) for name, card in cards.items()} | {
        "no file": lambda folder: load_network(folder / "x"),
        "an empty file": weights_bytes(b""),
        "seven bytes": weights_bytes(b"1234567"),
        "noise": weights_bytes(bytes(range(256)) * 10),
        "a pickle, as torch.save writes": weights_bytes(pickle_of(STATE)),
        "cut off": weights_bytes(whole[:-10]),
        "ten bytes too many": weights_bytes(whole + bytes(10)),
        "a header of 2**60 bytes": weights_bytes(struct.pack("<Q", 2**60) + whole[8:]),
        "a header of 90 MB": weights_bytes(struct.pack("<Q", 90_000_000) + whole[8:]),
        "a header that is not JSON": header(b"{" * 100),
        "a header that is a list": header([1, 2]),
        "a header nested 50,000 deep": header(b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
        "a tensor of unknown type": header({"a": {**tensor, "dtype": "F99"}}),
        "a tensor beyond the end": header({"a": {**tensor, "shape": [1000], "data_offsets": [0, 4000]}}),
        "a tensor that ends before its start": header({"a": {**tensor, "data_offsets": [4, 0]}}),
        "a tensor whose shape is not its size": header({"a": {**tensor, "shape": [2**62]}}),
        "two tensors in one place": header({"a": tensor, "b": tensor}),
        "no metadata": weights_bytes(save(STATE)),
        "metadata that is not JSON": weights(card="{"),
        "metadata that is a list": weights(card="[]"),
        "metadata: none of its keys": weights(card="{}"),
        "a tensor missing": weights({key: tensor for key, tensor in STATE.items() if key != "fc1.bias"}),
        "a tensor too many": weights(STATE | {"evil\n\x1b[31m": torch.zeros(1)}),
        "a tensor of another shape": weights(STATE | {"fc1.bias": torch.zeros(9)}),
        "a tensor of whole numbers": weights(STATE | {"fc1.bias": torch.zeros(8, dtype=torch.int64)}),
        "a tensor in half precision": weights(STATE | {"fc1.bias": torch.zeros(8, dtype=torch.float16)}),
        "a weight that changed": weights_bytes(whole[:-1] + bytes([whole[-1] ^ 1])),
        "metadata without a checksum": weights(card=CARD.model_dump_json(exclude_none=True)),
        "a NaN": weights(with_value("head.weight", float("nan"))),
        "an infinity": weights(with_value("conv1_1.weight", float("inf"))),
    }


def pickle_of(state: dict) -> bytes:
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


KINDS = {
    "settings": params_cases(),
    "images": image_cases(),
    "archives": archive_cases(),
    "weights": weights_cases(),
}
HARMLESS = (  # and so taken
    *("a file name", "a class named to be mathematics", "a class named with a dash"),
    *("named .png and something else", "sound beside its pixels", "class folders without train"),
)


def answer(case: Case) -> list[str]:
    """Return the faults that the project reports for a case, without the folder; none if it accepts the case."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            case(folder)
        except InputError as error:
            return [fault.replace(f"{folder}/", "").replace(str(folder), "images") for fault in error.faults]
    return []


def cell(text: str) -> str:
    """Return a text as a cell of a Markdown table, with all markup escaped."""
    return re.sub(r"([\\`*\[\]|])", r"\\\1", text).replace("<", "&lt;").replace("\n", " ")


def main() -> None:
    lines = [
        "# Bad input and the errors it causes",
        "",
        "`python tests/helpers/bad_input.py` writes this page. `make test` tries each case.",
        "",
    ]
    answers = {kind: {name: answer(case) for name, case in cases.items()} for kind, cases in KINDS.items()}
    lines += ["| kind | cases | rejected | accepted |", "| --- | ---: | ---: | ---: |"]
    for kind, found in answers.items():
        rejected = sum(map(bool, found.values()))
        lines.append(f"| {kind} | {len(found)} | {rejected} | {len(found) - rejected} |")
    for kind, found in answers.items():
        lines += ["", f"## {kind.capitalize()}: {len(found)}", "", "| input | error |", "| --- | --- |"]
        for name, faults in found.items():
            told = "; and ".join(faults[:2]) + (f"; and {len(faults) - 2} more" if len(faults) > 2 else "")
            lines.append(f"| {cell(name)} | {cell(told or 'accepted')} |")
    (ROOT / "docs/bad-input.md").write_text("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
