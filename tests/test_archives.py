"""What an archive may have: bounds in relation to its size."""

import gzip
import io
import tarfile
import time

import pytest
from conftest import archive, photos, train_and_test

from deepen.core.errors import InputError
from deepen.datasets import archive_bounds
from deepen.datasets.archives import read_archive
from deepen.datasets.folder import load_folder


def tar(path, files, kind, others=0, name="train/cat/{}.txt"):
    with tarfile.open(path, f"w:{kind}") as file:
        for each, content in files.items():
            member = tarfile.TarInfo(each)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
        for number in range(others):
            file.addfile(tarfile.TarInfo(name.format(number)))
    return path


@pytest.mark.parametrize("name", ["train/cat/{}.txt", "train/cat/{}.png", "{}/", "train/cat/.git/{}"])
def test_more_members_than_an_archive_s_size_can_have_are_refused(tmp_path, monkeypatch, name):
    monkeypatch.setattr(archive_bounds, "MOST_SMALL_FILES", 100)
    path = tar(tmp_path / "x.tar.gz", photos(), "gz", 1000, name)
    most = max(100, path.stat().st_size // archive_bounds.BYTES_A_FILE)
    with pytest.raises(InputError) as error:
        load_folder(path, None)
    assert error.value.faults == (
        f"{path}: has more than {most} files and folders, too many for its size; if you trust it, unpack it by hand and "
        "set root to the folder",
    )


def test_a_zip_with_a_password_is_an_error_that_names_a_file(tmp_path):
    path = archive(tmp_path / "x.zip", photos(), "zip")
    content = path.read_bytes().replace(b"PK\1\2\x14\3\x14\0\0", b"PK\1\2\x14\3\x14\0\1")
    path.write_bytes(content.replace(b"PK\3\4\x14\0\0", b"PK\3\4\x14\0\1"))
    with pytest.raises(InputError) as error:
        list(read_archive(path))
    (fault,) = error.value.faults
    assert fault == f"{path}: 'train/cat/000.png' has a password; create the archive again without one"


def test_an_archive_at_the_bound_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(archive_bounds, "MOST_SMALL_FILES", 100)
    assert len(train_and_test(tar(tmp_path / "x.tar.gz", photos(), "gz", 100 - len(photos())))[0]) == 8
    assert len(train_and_test(tar(tmp_path / "x.tar", photos(), "", 1000))[0]) == 8  # 512 bytes each


@pytest.mark.slow
def test_all_that_any_archive_may_have_is_read_in_seconds(tmp_path):
    count = archive_bounds.MOST_SMALL_FILES - len(photos())
    whole = tar(tmp_path / "x", photos(), "").read_bytes().rstrip(b"\0")
    whole += bytes(-len(whole) % tarfile.BLOCKSIZE)
    others = tarfile.TarInfo("train/cat/x.txt").tobuf() * count
    (tmp_path / "x").write_bytes(gzip.compress(whole + others + bytes(1024), 1))
    start = time.process_time()
    parts = load_folder(tmp_path / "x", None)
    assert len(parts.images["train"]) == 8
    assert parts.notes[0].startswith(f"skipped {count:,} files that are not images: train/cat/x.txt, ")
    assert time.process_time() - start < 30


def test_a_large_file_that_is_not_an_image_is_skipped(tmp_path, monkeypatch):
    monkeypatch.setattr(archive_bounds, "MOST_FILE_BYTES", 1000)
    film = {"train/cat/film.mp4": bytes(5000)}
    for path in (tar(tmp_path / "x", photos() | film, ""), tar(tmp_path / "y", film | photos(), "gz")):
        assert load_folder(path, None).notes == ("skipped 1 file that is not an image: train/cat/film.mp4",)
    with pytest.raises(
        InputError, match=r"large\.png has 5,000 bytes unpacked; the limit is 1,000; if you trust it, unpack it"
    ):
        load_folder(tar(tmp_path / "z", photos() | {"train/cat/large.png": bytes(5000)}, ""), None)


def headers(size, count):
    """So many members whose names and comments compress to nothing."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", format=tarfile.PAX_FORMAT) as content:
        for number in range(count):
            member = tarfile.TarInfo(f"{number}.txt")
            member.pax_headers = {"comment": "x" * size}
            content.addfile(member)
    return file.getvalue()


def test_headers_of_an_archive_count_as_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(archive_bounds, "MOST_SMALL_BYTES", 1 << 20)
    (tmp_path / "x").write_bytes(headers(1 << 19, 4))
    with pytest.raises(
        InputError, match=r"has more than 1,048,576 bytes unpacked, 200 times its size; if you trust it, unpack"
    ):
        load_folder(tmp_path / "x", None)
    (tmp_path / "x").write_bytes(headers(1 << 17, 4))
    with pytest.raises(InputError, match="no images found"):
        load_folder(tmp_path / "x", None)


@pytest.mark.parametrize(
    ("name", "told"),
    [("a" * 1025, "1,025 characters and 1 levels"), ("a/" * 100 + "a", "201 characters and 101 levels")],
)
@pytest.mark.parametrize("kind", ["", "zip"])
def test_names_longer_than_any_in_use_are_refused(tmp_path, name, told, kind):
    path = archive(tmp_path / "x", photos() | {name: b""}, kind)
    with pytest.raises(InputError) as error:
        load_folder(path, None)
    assert error.value.faults == (
        f"{path}: the name {name[:40]!a}... has {told}; the limits are 1,024 and 100; create the archive again with shorter names",
    )


def test_long_names_at_the_bound_are_read(tmp_path):
    files = photos() | {"train/cat/" + "a/" * 97 + "1.png": photos()["train/cat/000.png"]}
    assert len(train_and_test(archive(tmp_path / "x", files, "zip"))[0]) == 9
