import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from deepen.core.errors import InputError
from deepen.runtime.lock import hold_lock, read_lock_holder

HOLD = """
import sys, time
from pathlib import Path
from deepen.runtime.lock import hold_lock
with hold_lock(Path(sys.argv[1]), lambda holder: print("waits for", holder, flush=True)):
    print("has it", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def process(path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as found:
        yield found
        found.kill()


def test_the_second_process_is_told_who_holds_the_lock_and_waits(tmp_path):
    path = tmp_path / "new" / "x.lock"
    with process(path) as first:
        assert first.stdout.readline() == "has it\n"
        with process(path) as second:
            holder = f"process {first.pid} on {socket.gethostname()}, since 20"
            assert second.stdout.readline().startswith(f"waits for {holder}")
            time.sleep(0.2)
            assert second.poll() is None
            first.stdin.close()
            assert second.stdout.readline() == "has it\n"
            second.stdin.close()
            second.wait()
    assert os.listdir(path.parent) == []


def test_a_killed_process_no_longer_holds_its_lock(tmp_path):
    path = tmp_path / "x.lock"
    with process(path) as first:
        first.stdout.readline()
        first.send_signal(signal.SIGKILL)
        first.wait()
        waited = []
        with hold_lock(path, waited.append):
            assert waited == []


def test_processes_hold_a_lock_one_after_the_other(tmp_path):
    code = (
        "import sys; from pathlib import Path; from deepen.runtime.lock import hold_lock\n"
        "path = Path(sys.argv[1])\n"
        "for _ in range(200):\n"
        "    with hold_lock(path / 'x.lock', lambda holder: None):\n"
        "        count = int((path / 'count').read_text()); (path / 'count').write_text(str(count + 1))\n"
    )
    (tmp_path / "count").write_text("0")
    crowd = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(4)]
    assert [each.wait() for each in crowd] == [0] * 4
    assert (tmp_path / "count").read_text() == "800"


def test_a_lock_that_can_t_be_written_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    error = r"x\.lock: can't be written \(.*\); .* and run it again"
    with pytest.raises(InputError, match=error), hold_lock(tmp_path / "file" / "x.lock", print):
        pass


def test_the_holder_of_a_lock_that_is_removed_meanwhile_is_named(tmp_path, monkeypatch):
    """The holder ends between two looks at its file."""
    path = tmp_path / "x.lock"
    path.write_text("process 1 on there")

    def removed(file, operation):
        path.unlink()
        raise BlockingIOError

    monkeypatch.setattr(fcntl, "flock", removed)
    assert read_lock_holder(path) == "process 1 on there"
