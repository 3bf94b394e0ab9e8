"""What counts as an image, and what is skipped, below a folder and in an archive alike."""

import os
import subprocess
import sys
import unicodedata

import pytest
from conftest import archive, photos, picture, write_tree

from deepen.core.errors import InputError
from deepen.datasets import files as module
from deepen.datasets.folder import load_folder
from deepen.datasets.judged import load_judged
from deepen.datasets.walk import Walk

KINDS = pytest.mark.parametrize("kind", ["folder", "", "gz", "zip"])


def made(path, files, kind):
    """These files in a folder, or in an archive of a kind."""
    return write_tree(path, files) if kind == "folder" else archive(path, files, kind)


def images(walk):
    return sorted("/".join(found.parts) for found in walk if found.read is not None)


@KINDS
def test_clutter_is_skipped_without_a_word(tmp_path, kind):
    clutter = [
        ".DS_Store", "train/.DS_Store", "train/cat/Thumbs.db", "train/cat/desktop.ini", "__MACOSX/train/cat/._1.png",
        "train/cat/._1.png", "train/.ipynb_checkpoints/1-checkpoint.jpg", "train/cat/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg",
        ".git/objects/x.png", "train/#recycle/1.png", "train/cat/.@__thumb/1.png", ".Trash-1000/files/1.png",
        "train/cat/.picasaoriginals/1.png",
    ]  # fmt: skip
    content = {name: b"\0\5\26\7Mac OS X" if "._" in name else picture() for name in clutter}
    walk = Walk(made(tmp_path / "x", content | {"train/cat/1.png": picture()}, kind))
    assert images(walk) == ["train/cat/1.png"]
    assert (walk.notes, walk.faults) == ([], [])


@KINDS
def test_files_that_are_not_images_are_skipped_counted_and_named(tmp_path, kind):
    others = {
        "README.txt": b"BMs are cars",
        "train/labels.csv": b"a",
        "train/cat/a.json": b"",
        "train/cat/b.mp4": b"\0\0\0\x18ftypisom",
    }
    walk = Walk(made(tmp_path / "x", photos() | others, kind))
    assert len(images(walk)) == 12
    (told,) = walk.notes
    assert told.startswith("skipped 4 files that are not images: ")
    assert told.endswith(", ...")
    assert told.count(", ") == 3
    one = Walk(made(tmp_path / "y", {"train/cat/a.txt": b"x"}, kind))
    assert images(one) == []
    assert one.notes == ["skipped 1 file that is not an image: train/cat/a.txt"]


@KINDS
def test_an_image_is_one_by_its_name_or_by_its_first_bytes(tmp_path, kind):
    files = {
        f"train/cat/{i}.{suffix}": b""
        for i, suffix in enumerate(("JPG", "jpe", "jfif", "tif", "gif", "avif", "heic", "dng", "psd"))
    }
    for form in ("JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP", "AVIF"):
        files[f"train/cat/{form.lower()}-named"] = picture(size=(40, 40), format=form)
        files[f"train/cat/{form.lower()}.jpg.part"] = picture(size=(40, 40), format=form)
    files["train/cat/phone.unknown"] = b"\0\0\0\x18ftypheic" + bytes(60)
    walk = Walk(made(tmp_path / "x", files, kind))
    assert images(walk) == sorted(files)
    assert walk.notes == []


@KINDS
def test_a_hidden_image_is_skipped_and_named_and_a_hidden_class_is_an_error(tmp_path, kind):
    path = made(tmp_path / "x", photos() | {"train/cat/.1.png": picture(), "train/cat/.rc": b"x"}, kind)
    assert load_folder(path, None).notes == (
        "skipped 1 hidden image, whose own or folder's name starts with a dot: train/cat/.1.png",
    )
    path = made(tmp_path / "y", photos() | {"train/.net/1.png": picture(), "train/.net/2.png": picture()}, kind)
    with pytest.raises(InputError) as error:
        load_folder(path, None)
    assert error.value.faults == (
        f"{path}: train/.net/: contains images, but names that start with a dot are ignored; rename it, for example to net",
    )
    with pytest.raises(InputError, match=r"\.cat/: is named like a class, but names that start with a dot are ignored"):
        load_judged(made(tmp_path / "z", {".cat/1.png": picture(), "dog/1.png": picture()}, kind), (".cat", "dog"), (3, 8, 8))  # fmt: skip


@KINDS
def test_images_lie_at_any_depth_below_a_class(tmp_path, kind):
    files = photos(test=0) | {"train/cat/2023/06/14/a/b/c/1.png": picture(value=(255, 0, 0))}
    parts = load_folder(made(tmp_path / "x", files, kind), None)
    assert parts.images["train"].labels.tolist() == [0] * 5 + [1] * 4
    assert parts.images["train"].images[4, 0].min() == 255
    judged = load_judged(tmp_path / "x", ("dog", "cat"), (3, 8, 8), "train").images
    assert judged.labels.tolist() == [0] * 4 + [1] * 5


class TestLinks:
    def test_links_are_followed(self, tmp_path):
        write_tree(tmp_path / "elsewhere", {"1.png": picture(), "more/2.png": picture()})
        write_tree(tmp_path / "x", photos())
        (tmp_path / "x/train/emu").symlink_to(tmp_path / "elsewhere")
        walk = Walk(tmp_path / "x")
        assert {"train/emu/1.png", "train/emu/more/2.png"} < set(images(walk))
        assert walk.faults == []

    @pytest.mark.parametrize(("at", "to", "what"), [
        ("loop", ".", "loop: is a link to the same folder as the root"),
        ("train/cat/up", "train", "train/cat/up: is a link to the same folder as train"),
        ("train/emu", "train/dog", "train/emu: is a link to the same folder as train/dog"),
    ])  # fmt: skip
    def test_a_folder_that_is_reached_twice_is_an_error(self, tmp_path, at, to, what):
        write_tree(tmp_path, photos())
        (tmp_path / at).symlink_to((tmp_path / to).resolve())
        with pytest.raises(InputError) as error:
            load_folder(tmp_path, None)
        assert error.value.faults == (f"{tmp_path}: {what}; remove the link",)

    def test_links_beside_links_end_soon(self, tmp_path):
        for level in range(40):
            (tmp_path / f"{level}").mkdir()
        for level in range(39):
            for name in "ab":
                (tmp_path / f"{level}" / name).symlink_to(tmp_path / f"{level + 1}")
        walk = Walk(tmp_path / "0")
        assert images(walk) == []
        assert len(walk.faults) == 39


class TestUnreadable:
    """A folder that nobody may list; root may list all, so that for root it is made believe."""

    @pytest.fixture(params=["emu", "test", "train", ""])
    def closed(self, request, tmp_path, monkeypatch):
        write_tree(tmp_path / "x", photos(classes=("cat", "dog", "emu")))
        folder = tmp_path / "x" / {"emu": "train/emu"}.get(request.param, request.param)
        scandir = os.scandir

        def refusing(path):
            if os.path.realpath(path) == str(folder):
                raise PermissionError(13, "Permission denied", str(path))
            return scandir(path)

        monkeypatch.setattr(module.os, "scandir", refusing)
        below = str(folder.relative_to(tmp_path / "x")).strip(".") or "the folder itself"
        return tmp_path / "x", f"{below}: can't be listed (Permission denied); make it readable or move it away"

    def test_training_ends_with_the_unreadable_name_and_no_other_fault(self, closed):
        root, fault = closed
        with pytest.raises(InputError) as error:
            load_folder(root, None)
        assert error.value.faults == (f"{root}: {fault}",)

    def test_evaluation_ends_with_the_unreadable_name_and_no_other_fault(self, closed):
        root, fault = closed
        with pytest.raises(InputError) as error:
            load_judged(root, ("cat", "dog", "emu"), (3, 8, 8))
        assert error.value.faults == (f"{root}: {fault}",)

    @pytest.mark.skipif(os.getuid() != 0, reason="another user than root is needed besides")
    def test_unreadable_folders_are_an_error_for_another_user(self, tmp_path):
        write_tree(tmp_path / "x", photos(classes=("cat", "dog", "emu")))
        os.chmod(tmp_path / "x/train/emu", 0)
        (tmp_path / "x/train/dog/secret.png").write_bytes(picture())
        os.chmod(tmp_path / "x/train/dog/secret.png", 0)
        code = (
            "import os, sys, deepen.datasets.folder as f; from pathlib import Path; os.chdir(sys.argv[1])\n"
            "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
            "from deepen.core.errors import InputError\n"
            "try: f.load_folder(Path('x'), None, Path('/tmp'))\nexcept InputError as error: print(error)"
        )
        for folder in (tmp_path, *tmp_path.parents[:2]):
            os.chmod(folder, 0o755)
        done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True)
        assert done.stdout.splitlines() == [
            "x: train/emu: can't be listed (Permission denied); make it readable or move it away",
            "x: train/dog/secret.png: can't be read as an image (Permission denied); replace or remove it",
        ], done.stderr


def test_two_folders_that_are_one_once_composed_are_an_error(tmp_path):
    files = photos() | {f"train/{unicodedata.normalize(form, 'é')}/{form}.png": picture() for form in ("NFC", "NFD")}
    for kind in ("folder", "", "zip"):
        with pytest.raises(InputError) as error:
            load_folder(made(tmp_path / f"x{kind}", files, kind), None)
        (fault,) = error.value.faults
        assert "two folders have this name, with composed and decomposed accents; merge them" in fault


def test_a_root_in_a_folder_that_nobody_may_enter(tmp_path, monkeypatch):
    def refused(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.stat", refused)
    with pytest.raises(
        InputError, match="x: can't be read \\(Permission denied\\); make it readable, or set another root"
    ):
        list(Walk(tmp_path / "x"))


@pytest.mark.parametrize("name", ["labels.csv", "labels.TSV", "labels.jsonl"])
def test_a_table_as_a_root_is_told(tmp_path, name):
    write_tree(tmp_path, {name: b"file,label\n"})
    with pytest.raises(InputError, match=f"{name}: is a table, not a folder or archive of images; name the folder of"):
        load_folder(tmp_path / name, None)
