"""Images decoded by other processes, and kept in a file."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import archive, assert_equal, photos, picture, train_and_test, write_tree

from deepen.core.errors import InputError
from deepen.datasets import staging as module
from deepen.datasets.folder import load_folder
from deepen.datasets.judged import load_judged
from deepen.datasets.staging import Staging
from deepen.datasets.walk import Walk
from deepen.decoding.workers import DecoderPool, EncodedFile, ImageSpec


@pytest.fixture
def processes(monkeypatch):
    """Other processes decode from the first image on, five at a time; the pids of all there were."""
    pids = []

    class Watched(DecoderPool):
        def __init__(self, count):
            super().__init__(count)
            pids.extend(process.pid for process in self._processes)

    monkeypatch.setattr(module, "DecoderPool", Watched)
    monkeypatch.setattr(module, "_ALONE", 0)
    monkeypatch.setattr(module, "_CHUNK_FILES", 5)
    return pids


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def faults_of(root, size=None):
    with pytest.raises(InputError) as error:
        load_folder(root, size)
    return error.value.faults


def mixed():
    """Grey and colour, so that what comes of an image depends on all."""
    files = photos(train=23, test=3)
    return files | {"train/cat/007.png": picture("L", value=9), "test/dog/001.png": picture("L", value=200)}


@pytest.mark.parametrize("size", [None, 6])
def test_other_processes_decode_the_same_pixels_as_this_one(tmp_path, processes, monkeypatch, size):
    path = archive(tmp_path / "x.tar", mixed(), "")
    theirs = train_and_test(path, size)
    judged = load_judged(path, ("dog", "cat"), (1, 5, 4)).images
    assert len(processes) == 2 * min(os.cpu_count(), 8)
    monkeypatch.setattr(module, "_ALONE", 1000)
    processes.clear()
    for one, other in zip(theirs, train_and_test(path, size), strict=True):
        assert_equal(one, other)
    assert_equal(judged, load_judged(path, ("dog", "cat"), (1, 5, 4)).images)
    assert not processes
    assert judged.shape == (1, 5, 4)


def test_faults_are_told_in_the_order_of_the_files_whoever_finds_them(tmp_path, processes, monkeypatch):
    files = mixed() | {f"train/cat/{i:03}.png": b"bad" for i in (1, 3, 12, 20)}
    files |= {"train/cat/002b.gif": b"", "train/loose.png": picture(), "train/dog/004.jpg": b""}
    write_tree(tmp_path, files)
    (tmp_path / "train/cat/011.png").unlink()
    (tmp_path / "train/cat/011.png").symlink_to("/dev/zero")
    theirs = faults_of(tmp_path)
    monkeypatch.setattr(module, "_ALONE", 1000)
    assert theirs == faults_of(tmp_path)
    assert [fault.split(": ")[1].rstrip("/").split("/")[-1] for fault in theirs] == [
        "001.png", "002b.gif", "003.png", "011.png", "012.png", "020.png", "004.jpg", "train",
    ]  # fmt: skip


def test_few_images_start_no_process(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "DecoderPool", None)
    assert len(train_and_test(write_tree(tmp_path, photos(train=100, test=20)))[0]) == 200


def test_many_images_start_processes(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "DecoderPool", None)
    with pytest.raises(TypeError):
        load_folder(write_tree(tmp_path, photos(train=150)), None)


def test_work_and_results_of_a_decoding_process_are_bounded(tmp_path, monkeypatch):
    sent = []

    class Counted(DecoderPool):
        def submit(self, files, spec):
            sent.append(len(files))
            return super().submit(files, spec)

    monkeypatch.setattr(module, "DecoderPool", Counted)
    monkeypatch.setattr(module, "_ALONE", 1)
    small, large = picture(), picture(size=(700, 700))
    for content, size, most in ((small, None, 64), (small, 1000, 2), (large, None, 5), (small + bytes(2**18), None, 2)):
        sent.clear()
        with Staging(ImageSpec(size and (size, size))) as staging:
            for _ in range(300):
                staging.add("x.png", lambda content=content: content)
            staging.finish()
            assert staging.images().shape[0] == 300
        assert max(sent) == most


def test_no_process_and_no_file_is_left(tmp_path, processes):
    (tmp_path / "room").mkdir()
    train, test = train_and_test(archive(tmp_path / "x.tar", mixed(), ""), None, tmp_path / "room")
    assert processes
    assert not any(map(alive, processes))
    assert os.listdir(tmp_path / "room") == []
    assert len(train) + len(test) == 52


@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError])
def test_no_process_is_left_where_staging_ends_early(tmp_path, processes, error):
    def read():
        raise error("x")

    def stage():
        with Staging(ImageSpec(None), tmp_path / "room") as staging:
            for _ in range(50):
                staging.add("x.png", picture)
            staging.add("x.png", read)

    with pytest.raises(error):
        stage()
    assert processes
    assert not any(map(alive, processes))
    assert os.listdir(tmp_path / "room") == []


def test_a_process_that_was_ended_is_told(tmp_path, processes):
    def stage():
        with Staging(ImageSpec(None)) as staging:
            for _ in range(20):
                staging.add("x.png", picture)
            for pid in processes:
                os.kill(pid, signal.SIGKILL)
            for _ in range(20):
                staging.add("x.png", picture)
            staging.finish()

    told = r"an image decoding process died \(exit code -9\) at x.png or one of the 4 files after it; check whether the"
    with pytest.raises(InputError, match=told):
        stage()


def test_a_full_disk_is_told(small_disk, tmp_path):
    write_tree(tmp_path, photos(train=4, size=(200, 200)))
    with pytest.raises(InputError, match=r"disk: can't be written \(No space left on device\); free some disk space"):
        load_folder(tmp_path, 200, small_disk)
    assert os.listdir(small_disk) == []


ASKING = """
import os, sys, time
from pathlib import Path
from deepen.decoding.workers import DecoderPool, EncodedFile, ImageSpec
with DecoderPool(2) as decoders:
    image = EncodedFile("x.png", Path(sys.argv[1]).read_bytes())
    assert decoders.submit([image], ImageSpec(None)).result()[0].pixels.shape == (3, 8, 8)
    print(*(process.pid for process in decoders._processes), flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_processes_end_with_the_one_that_asks_however_it_ends(tmp_path, number):
    (tmp_path / "x.png").write_bytes(picture())
    asking = subprocess.Popen(
        [sys.executable, "-c", ASKING, str(tmp_path / "x.png")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    pids = [int(pid) for pid in asking.stdout.readline().split()]
    assert len(pids) == 2
    assert all(map(alive, pids))
    os.killpg(asking.pid, number)
    _, told = asking.communicate(timeout=20)
    assert told.count("Traceback") == (number == signal.SIGINT)  # of the one that asks, and of no other
    end = time.monotonic() + 10
    while any(map(alive, pids)):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_process_imports_what_decoding_takes():
    code = "import sys, deepen.decoding.workers; print(*{'torch', 'pydantic', 'safetensors', 'multiprocessing'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "\n"


def test_pixels_are_those_of_the_files(tmp_path, processes):
    write_tree(tmp_path, photos(train=20, test=0))
    with Staging(ImageSpec(None)) as staging:
        assert [staging.add(str(path), read) for path, _, read in Walk(tmp_path) if read] == list(range(40))
        staging.finish()
        images = staging.images()
    assert images[:, 1, 0, 0].tolist() == [10 * i for i in range(20)] * 2
    assert np.unique(images[:, 2]).tolist() == [100]


def test_a_file_that_could_not_be_read_says_why():
    with DecoderPool(1) as decoders:
        found = decoders.submit(
            [EncodedFile("a", picture()), EncodedFile("b", "it is a pipe")], ImageSpec((4, 4), 1)
        ).result()
    assert found[0].pixels.shape == (1, 4, 4)
    assert found[1].fault == "b: can't be read as an image (it is a pipe); replace or remove it"


@pytest.mark.parametrize("alone", [0, 1000])
def test_notes_on_images_come_with_them_once_for_ten_and_counted(tmp_path, processes, monkeypatch, alone):
    monkeypatch.setattr(module, "_ALONE", alone)
    dark = picture("I;16", value=0xFFF)
    root = write_tree(tmp_path, photos() | {f"train/cat/x{i:02}.png": dark for i in range(25)})
    told = load_folder(root, None).warnings
    assert [line.split(": ")[0] for line in told[:-1]] == [f"train/cat/x{i:02}.png" for i in range(10)]
    assert told[0].startswith("train/cat/x00.png: is nearly black: none of its 16-bit values exceeds 4,095; ")
    assert told[-1] == "... and 15 more"


def test_a_large_image_is_decoded_by_a_process_too(tmp_path):
    large = picture("1", size=(6000, 6000), value=1)  # for which processes take turns
    with DecoderPool(2) as decoders:
        waiting = [decoders.submit([EncodedFile("x.png", large)], ImageSpec((4, 4), 1)) for _ in range(3)]
        assert [future.result()[0].pixels.min() for future in waiting] == [255] * 3
