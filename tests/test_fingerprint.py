"""What a source holds, told without reading it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import archive, photos, picture, write_tree

from deepen.config.dataset_settings import Digits, Downloaded, Folder
from deepen.core.errors import InputError
from deepen.datasets.fingerprint import compute_fingerprint

AUGMENTED = {"least_images": 1, "flip": True, "crop": 0.1, "view": "auto", "width": 1.0}


def told(root):
    return compute_fingerprint(Folder(source="folder", root=str(root), size="auto", **AUGMENTED), Path("/"))


def test_the_fingerprint_counts_files_and_bytes(tmp_path):
    files = photos() | {"README.txt": b"x"}
    found = told(write_tree(tmp_path, files | {"train/.DS_Store": b"x"}))
    assert (found["source"], found["files"], found["bytes"]) == ("folder", 13, sum(map(len, files.values())))
    assert len(found["sha256"]) == 64
    assert told(tmp_path) == found


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "train/cat/new.png").touch(),
        lambda root: (root / "train/cat/000.png").unlink(),
        lambda root: (root / "train/cat/000.png").rename(root / "train/dog/x.png"),
        lambda root: (root / "train/cat").rename(root / "train/emu"),
        lambda root: (root / "train/cat/000.png").write_bytes(picture(value=(9, 9, 9))),
        lambda root: os.utime(root / "train/cat/000.png", (1, 1)),
        lambda root: (root / "train/cat/link.png").symlink_to("nothing"),
    ],
    ids=["added", "removed", "moved", "class renamed", "written", "touched", "a link to nothing"],
)
def test_each_change_of_images_changes_the_fingerprint(tmp_path, change):
    before = told(write_tree(tmp_path, photos()))
    time.sleep(0.01)
    change(tmp_path)
    assert told(tmp_path) != before


def test_clutter_and_new_folders_do_not_change_the_fingerprint(tmp_path):
    before = told(write_tree(tmp_path, photos()))
    write_tree(tmp_path, {"train/cat/@eaDir/000.png": b"x", ".git/x": b"", "train/Thumbs.db": b"x"})
    assert told(tmp_path) == before


def test_the_fingerprint_follows_links(tmp_path):
    write_tree(tmp_path / "elsewhere", {"1.png": b"x"})
    (write_tree(tmp_path / "x", photos()) / "train/emu").symlink_to(tmp_path / "elsewhere")
    before = told(tmp_path / "x")
    (tmp_path / "elsewhere/2.png").touch()
    assert told(tmp_path / "x")["files"] == before["files"] + 1


def test_the_fingerprint_of_an_archive_is_that_of_its_file(tmp_path):
    path = archive(tmp_path / "x.zip", photos(), "zip")
    before = told(path)
    assert (before["files"], before["bytes"]) == (1, path.stat().st_size)
    os.utime(path, (1, 1))
    assert told(path) != before


def test_the_fingerprint_of_other_sources_never_changes(tmp_path):
    assert compute_fingerprint(Digits(source="digits", **AUGMENTED), tmp_path) == {"source": "digits"}
    assert compute_fingerprint(Downloaded(source="cifar10", root="x", **AUGMENTED), tmp_path) == {"source": "cifar10"}


def test_files_that_can_t_be_examined_are_an_error(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="x: no such file or directory"):
        told(tmp_path / "x")
    write_tree(tmp_path, photos())
    (tmp_path / "loop").symlink_to(tmp_path)
    with pytest.raises(InputError, match="loop: is a link to the same folder as the root; remove the link"):
        told(tmp_path)
    monkeypatch.setattr(os, "scandir", lambda path: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    with pytest.raises(InputError, match=r": the folder itself: can't be listed \(Permission denied\)"):
        told(tmp_path)


def test_computing_the_fingerprint_imports_nothing_large():
    code = (
        "import sys; from deepen.datasets.fingerprint import compute_fingerprint; from deepen.config.settings import load_settings; "
        "print(*{'torch', 'torchvision', 'sklearn', 'PIL'} & {*sys.modules})"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "\n"


def test_the_fingerprint_of_many_files_takes_less_than_a_second(tmp_path):
    for name in "ab":
        (tmp_path / "train" / name).mkdir(parents=True)
        for i in range(5000):
            os.close(os.open(tmp_path / "train" / name / f"{i}.png", os.O_CREAT))
    start = time.process_time()
    assert told(tmp_path)["files"] == 10_000
    assert time.process_time() - start < 1
