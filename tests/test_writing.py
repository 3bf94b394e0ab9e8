import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deepen.core.errors import InputError
from deepen.core.files import write_atomically, write_json, write_text


def test_a_failure_leaves_the_file_as_it_was_and_nothing_beside(tmp_path):
    write_text(tmp_path / "a.txt", "before")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "a.txt", "half\ud800")
    assert (tmp_path / "a.txt").read_text() == "before"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_link_to_the_cache_is_replaced_and_not_written_into(tmp_path):
    write_text(tmp_path / "cache", "cached")
    os.link(tmp_path / "cache", tmp_path / "out")
    write_text(tmp_path / "out", "new")
    assert (tmp_path / "cache").read_text() == "cached"
    assert (tmp_path / "out").read_text() == "new"


def test_folders_are_made_and_json_is_json(tmp_path):
    write_json(tmp_path / "new" / "folder" / "a.json", {"a": [1, 2]})
    text = (tmp_path / "new" / "folder" / "a.json").read_text()
    assert json.loads(text) == {"a": [1, 2]}
    assert text.endswith("\n")


WRITE = """
import sys
from pathlib import Path
from deepen.core.files import write_atomically
for _ in range(int(sys.argv[3])):
    with write_atomically(Path(sys.argv[1])) as temporary:
        temporary.write_text(sys.argv[2])
        print("writing", flush=True)
        sys.stdin.read()
"""


def writer(path, text, times=1, until=subprocess.DEVNULL):
    """A process that writes a text so many times; it finishes the first once its input `until` ends."""
    words = [sys.executable, "-c", WRITE, str(path), text, str(times)]
    return subprocess.Popen(words, stdin=until, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_many_may_write_a_path_at_once(tmp_path):
    crowd = [writer(tmp_path / "x", str(i) * 1000, times=50) for i in range(4)]
    assert [(each.communicate()[1], each.returncode) for each in crowd] == [("", 0)] * 4
    assert (tmp_path / "x").read_text() in {str(i) * 1000 for i in range(4)}
    assert os.listdir(tmp_path) == ["x"]


def test_temporary_files_of_killed_processes_are_removed_and_of_live_ones_kept(tmp_path):
    path = tmp_path / "a[1]*"  # which is a pattern too
    killed, living = (writer(path, text, until=subprocess.PIPE) for text in ("killed", "living"))
    for each in (killed, living):
        assert each.stdout.readline() == "writing\n"
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert len(os.listdir(tmp_path)) == 2
    write_text(path, "ours")
    assert len(os.listdir(tmp_path)) == 2  # that of the living one, and the file
    living.communicate()
    assert living.returncode == 0
    assert path.read_text() == "living"
    assert os.listdir(tmp_path) == [path.name]


def test_a_link_is_replaced_and_what_it_points_to_stays(tmp_path):
    (tmp_path / "target").write_text("kept")
    (tmp_path / "link").symlink_to("target")
    (tmp_path / "dangling").symlink_to("nothing")
    for name in ("link", "dangling"):
        write_text(tmp_path / name, "new")
        assert not (tmp_path / name).is_symlink()
        assert (tmp_path / name).read_text() == "new"
    assert (tmp_path / "target").read_text() == "kept"
    assert sorted(os.listdir(tmp_path)) == ["dangling", "link", "target"]


def listening(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (Path.mkdir, "a folder"),
        (os.mkfifo, "a pipe"),
        (listening, "a socket"),
        (lambda path: path.symlink_to("/dev/null"), "a device"),
        (lambda path: path.symlink_to("/"), "a folder"),
    ],
)
def test_nothing_but_a_file_is_replaced(tmp_path, make, kind):
    make(tmp_path / "x")
    before = os.lstat(tmp_path / "x")
    with pytest.raises(InputError) as error:
        write_text(tmp_path / "x", "new")
    assert str(error.value) == f"{tmp_path}/x: is {kind}, only regular files can be replaced; name a file"
    assert os.path.samestat(before, os.lstat(tmp_path / "x"))
    assert os.listdir(tmp_path) == ["x"]


def test_a_pipe_that_appears_meanwhile_is_not_replaced(tmp_path):
    def write():
        with write_atomically(tmp_path / "x") as temporary:
            temporary.write_text("new")
            os.mkfifo(tmp_path / "x")

    with pytest.raises(InputError, match="x: is a pipe, only regular files can be replaced"):
        write()
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/null", "/dev/fd/1", "/proc/self/fd/1"])
def test_a_device_by_any_name_is_not_replaced(tmp_path, path):
    """Also where standard output is a file: root could replace the link to it."""
    code = f"from pathlib import Path; from deepen.core.files import write_text; write_text(Path({path!r}), 'new')"
    before = os.lstat(path) if path.startswith("/dev/") and path.count("/") == 2 else None
    with (tmp_path / "out").open("w") as out:
        done = subprocess.run([sys.executable, "-c", code], stdout=out, stderr=subprocess.PIPE, text=True, check=False)
    assert f"InputError: {path}: is a device, only regular files can be replaced; name a file" in done.stderr
    assert before is None or os.path.samestat(before, os.lstat(path))
