"""Names in archives: those that were meant, whatever packed them, or an error."""

import io
import struct
import tarfile
import unicodedata
import zipfile
import zlib

import numpy as np
import pytest
from conftest import archive, picture, write_tree
from PIL import Image

from deepen.config.dataset_settings import Folder
from deepen.core.errors import InputError
from deepen.datasets import load_dataset
from deepen.datasets.folder import load_folder

CLASSES = ("Äpfel", "犬", "é")


def tree(rng, names=CLASSES):
    files = {}
    for name in names:
        for i in range(8):
            file = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(file, "PNG")
            files[f"train/{name}/{i}.png"] = file.getvalue()
    return files


def zip_without_flag(path, files, encoding, extra=None):
    """A zip whose names are in an encoding and which does not say so; zipfile itself always says UTF-8."""
    swaps = {}
    with zipfile.ZipFile(path, "w") as file:
        for number, (name, content) in enumerate(files.items()):
            raw = name.encode(encoding)
            held = f"{number:03}".ljust(len(raw), "@")
            swaps[held.encode()] = raw
            member = zipfile.ZipInfo(held)
            member.extra = extra(name, raw) if extra else b""
            file.writestr(member, content)
    content = path.read_bytes()
    for held, raw in swaps.items():
        assert content.count(held) == 2
        content = content.replace(held, raw)
    path.write_bytes(content)
    return path


def unicode_path(name, raw):
    """Info-ZIP's field with the name in UTF-8."""
    data = b"\1" + struct.pack("<I", zlib.crc32(raw)) + name.encode()
    return struct.pack("<HH", 0x7075, len(data)) + data


def outdated(name, raw):
    """The same of a member that was renamed since."""
    return unicode_path(name, raw + b"x")


def parts_of(path):
    dataset = Folder(
        source="folder", root=str(path), size="auto", flip=True, crop=0.1, view="auto", width=1.0, least_images=1
    )
    return load_dataset(dataset, path.parent)


def test_zipped_tarred_and_unpacked_photos_have_the_same_classes_and_the_same_split(tmp_path, rng):
    files = tree(rng)
    apart = {unicodedata.normalize("NFD", name): content for name, content in files.items()}
    roots = [
        write_tree(tmp_path / "folder", files),
        write_tree(tmp_path / "folder of macOS", apart),
        archive(tmp_path / "x.tar", files, ""),
        archive(tmp_path / "x.tar.gz", apart, "gz"),
        archive(tmp_path / "flag.zip", apart, "zip"),
        zip_without_flag(tmp_path / "macos.zip", apart, "utf-8"),
        zip_without_flag(tmp_path / "no-flag.zip", files, "utf-8"),
        zip_without_flag(tmp_path / "info-zip.zip", files, "gb18030", unicode_path),
    ]
    first, *others = map(parts_of, roots)
    assert first.images["train"].classes == tuple(sorted(CLASSES))
    for other in others:
        assert other.images["train"].classes == first.images["train"].classes
        for part in ("train", "test"):
            assert np.array_equal(other.images[part].images, first.images[part].images)
            assert np.array_equal(other.images[part].labels, first.images[part].labels)


@pytest.mark.parametrize(
    ("encoding", "names", "shown"),
    [
        ("cp932", ("猫", "ソ"), r"\x94L"),
        ("cp850", ("Äpfel", "Öl"), r"\x8epfel"),
        ("cp866", ("кошка", "пёс"), r"\xaa\xae\xe8"),
    ],
)
@pytest.mark.parametrize("extra", [None, outdated])
def test_other_encodings_are_one_error_and_no_guess(tmp_path, rng, encoding, names, shown, extra):
    path = zip_without_flag(tmp_path / "x.zip", tree(rng, names), encoding, extra)
    with pytest.raises(InputError) as error:
        load_folder(path, None)
    (fault,) = error.value.faults
    assert fault.startswith(f"{path}: the name 'train/{shown}")
    assert (
        "' and 15 more are not UTF-8, and the encoding is unknown; create the archive again with UTF-8 names" in fault
    )
    assert "or unpack it where its names are displayed correctly and set root to the folder" in fault
    assert fault.isprintable()


def test_a_tar_with_names_in_another_encoding(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.GNU_FORMAT, encoding="cp850") as file:
        file.addfile(tarfile.TarInfo("train/Äpfel/1.png"))
    with pytest.raises(InputError, match=r"the name 'train/\\x8epfel/1.png' is not UTF-8, and the encoding is unknown"):
        load_folder(tmp_path / "x.tar", None)


def test_two_names_of_files_that_are_one_once_composed(tmp_path):
    files = {f"train/{name}/1.png": picture() for name in ("cat", "dog")}
    files |= {f"train/cat/{unicodedata.normalize(form, 'é')}.png": picture() for form in ("NFC", "NFD")}
    for root in (write_tree(tmp_path / "x", files), archive(tmp_path / "x.zip", files, "zip")):
        with pytest.raises(InputError, match=r"\.png: occurs twice; keep one"):
            load_folder(root, None)
