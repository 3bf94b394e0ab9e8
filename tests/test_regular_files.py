"""Pipes, sockets, devices and files of the operating system are refused in one line, and never waited for."""

import os
import socket
import sys
from pathlib import Path

import pytest
from conftest import photos, write_tree

from deepen.cli import main
from deepen.config.dataset_settings import Folder
from deepen.convert.state_dicts import read_state
from deepen.core.errors import InputError
from deepen.core.regular_files import is_of_system, require_regular
from deepen.core.yaml_reading import read_yaml
from deepen.datasets.fingerprint import compute_fingerprint
from deepen.datasets.folder import load_folder
from deepen.datasets.tables.choice import TableChoice
from deepen.datasets.walk import Walk
from deepen.growth.pretrained import read_start_shapes
from deepen.models.weights import load_weights

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
TRAIN = "a folder or an archive with train/<class>/*"


@pytest.fixture
def pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def fault(call, *arguments):
    with pytest.raises(InputError) as error:
        call(*arguments)
    (only,) = error.value.faults
    return only


@pytest.mark.parametrize(
    ("read", "remedy"),
    [
        (load_weights, "name a weights file, for example weights/III.safetensors"),
        (read_state, "name a .safetensors file or one of torch.save"),
        (read_yaml, "name a YAML file"),
    ],
)
class TestFiles:
    def test_a_pipe_or_socket_is_not_waited_for(self, pipe, read, remedy, monkeypatch):
        assert fault(read, pipe) == f"{pipe}: is a pipe, not a file; {remedy}"
        monkeypatch.chdir(pipe.parent)
        with socket.socket(socket.AF_UNIX) as end:
            end.bind("socket")
            assert fault(read, Path("socket")) == f"socket: is a socket, not a file; {remedy}"

    def test_a_device_is_not_read(self, read, remedy):
        assert fault(read, Path("/dev/zero")) == f"/dev/zero: is a device, not a file; {remedy}"

    @LINUX
    def test_a_file_of_the_system_is_not_read(self, read, remedy):
        assert fault(read, Path("/proc/kmsg")) == f"/proc/kmsg: belongs to the operating system; {remedy}"


def test_a_model_does_not_start_from_a_pipe(tmp_path):
    (tmp_path / "imports").mkdir()
    os.mkfifo(tmp_path / "imports/vgg-01234567.safetensors")
    models = {"I": type("Model", (), {"start": "imports/vgg-01234567.safetensors"})}
    assert fault(read_start_shapes, models, tmp_path).endswith(": is a pipe, not a file; run deepen import again")


def test_class_names_are_not_read_from_a_pipe(pipe):
    (pipe.parent / "a.pth").write_bytes(b"")
    with pytest.raises(SystemExit, match="is a pipe, not a file; name a text file with one class name per line"):
        main(["import", str(pipe.parent / "a.pth"), "--classes", str(pipe)])


@pytest.mark.parametrize("missing", ["a.txt", "folder"])
def test_what_is_missing_or_a_folder_is_left_to_the_reader(tmp_path, missing):
    (tmp_path / "folder").mkdir()
    require_regular(tmp_path / missing, "remedy")


class TestImages:
    def test_a_pipe_has_none(self, pipe):
        assert (
            fault(load_folder, pipe, 8) == f"{pipe}: is neither a folder nor an archive; name one with train/<class>/*"
        )

    @LINUX
    @pytest.mark.parametrize("root", ["/proc", "/proc/self", "/proc/cpuinfo", "/sys", "/dev"])
    def test_folders_of_the_system_have_none(self, root):
        assert fault(list, Walk(Path(root))) == f"{root}: belongs to the operating system; name {TRAIN}"
        settings = Folder.model_construct(source="folder", root=root, labels="auto")
        assert fault(compute_fingerprint, settings, Path()).startswith(f"{root}: belongs to the operating system; ")

    @LINUX
    def test_a_link_to_the_system_is_not_followed(self, tmp_path):
        write_tree(tmp_path, photos())
        (tmp_path / "train/cat/system").symlink_to("/proc/self")
        (tmp_path / "train/cat/zero.png").symlink_to("/proc/cpuinfo")
        with pytest.raises(InputError) as error:
            load_folder(tmp_path, 8)
        assert error.value.faults == (
            f"{tmp_path}: train/cat/system: belongs to the operating system; name another folder, or remove the link to it",
            f"{tmp_path}: train/cat/zero.png: can't be read as an image (it belongs to the operating system); "
            "replace or remove it",
        )

    @LINUX
    def test_shared_memory_is_not_of_the_system(self):
        assert not is_of_system(os.stat("/dev/shm"))
        assert not is_of_system(os.stat("/"))

    @pytest.mark.parametrize("entry", ["folder", None])
    def test_a_table_is_a_file(self, tmp_path, pipe, entry):
        write_tree(tmp_path / "images", photos())
        choice = TableChoice(str(pipe), entry=entry)
        rule = f"{tmp_path / 'images'}: {pipe}: not a file, as a table must be; correct its name"
        assert fault(load_folder, tmp_path / "images", 8, None, choice) == rule
