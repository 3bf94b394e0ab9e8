"""What several test files share: small image sets, images as files, a project in which DVC has run."""

import fcntl
import gc
import io
import os
import shutil
import subprocess
import tarfile
import warnings
import zipfile
from contextlib import suppress
from pathlib import Path

import fork_server
import numpy as np
import pytest
import torch
from dvc_project import Project, tiny_project
from PIL import Image
from small_nets import shrink

from deepen.data.images import ImageSet
from deepen.datasets.folder import load_folder

with suppress(ImportError):  # on a borrowed card, where no test that uses it runs
    from hypothesis import settings

    settings.register_profile("everywhere", deadline=None, derandomize=True)
    settings.load_profile("everywhere")

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # of commands: each project's code is compiled once

LADDER = {
    "I": "conv3-128 maxpool conv3-256 maxpool conv3-512 maxpool fc-1024",
    "II": "conv3-128 maxpool conv3-256*2 maxpool conv3-512*2 maxpool fc-1024*2",
    "III": "conv3-128 maxpool conv3-256*2 maxpool conv3-512*6 maxpool fc-1024*2",
}

# The files with the longest tests start first, so that no process ends with one while the others wait.
FIRST = (
    *(
        "test_docs",
        "test_wheel",
        "test_kills",
        "test_seeds_command",
        "test_together",
        "test_pipeline",
        "test_gpu_check",
    ),
    *("test_experiments", "test_tracked_project", "test_checksums", "test_ladders", "test_search", "test_study"),
)


def pytest_addoption(parser):
    parser.addoption("--torture", action="store_true", help="the long form of the tests of reliability")


def pytest_collection_modifyitems(config, items):
    without_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
    only_long = pytest.mark.skipif(not config.getoption("--torture"), reason="long: see make torture")
    for item in items:
        if item.get_closest_marker("half") and is_odd(item):
            item.add_marker("long")
        if item.get_closest_marker("long"):
            item.add_marker(only_long)
        if item.get_closest_marker("cuda"):
            item.add_marker(without_cuda)
        if {"built", "untouched", "chromium"} & set(item.fixturenames):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: FIRST.index(item.path.stem) if item.path.stem in FIRST else len(FIRST))


def is_odd(item):
    """Return whether the positions of its parameters, each in its list, have an odd sum."""
    lists = (mark.args for mark in item.iter_markers("parametrize"))
    return sum(values.index(item.callspec.params[name]) for name, values in lists) % 2 == 1


def pytest_collection_finish():
    """Keep what is imported by now out of each garbage collection."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter):
    """What the tests of reliability counted."""
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{name}: {value}")


def pytest_sessionfinish():
    gc.unfreeze()
    fork_server.END.close()


@pytest.fixture(scope="session")
def torture(request):
    """Whether to do it many times."""
    return request.config.getoption("--torture")


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny tensors gain nothing by more, and threads that wait for each other cost as much time as those that work."""
    torch.set_num_threads(1)


@pytest.fixture
def wait_mode():
    """A function that sets what PyTorch does where it waits for a GPU: default, warn or error; reset after the test."""

    def set_mode(mode):
        with warnings.catch_warnings():  # that this is a prototype says nothing of the test
            warnings.filterwarnings("ignore", "Synchronization debug mode is a prototype")
            torch.cuda.set_sync_debug_mode(mode)

    yield set_mode
    set_mode("default")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def make_colored(rng, count=60, side=8):
    """Make colour images of three classes that differ in their brightest channel."""
    labels = np.arange(count) * 3 // count
    images = rng.integers(0, 80, (count, 3, side, side), dtype=np.uint8)
    images[np.arange(count), labels] += 150
    return ImageSet(images, labels.astype(np.int64), ("red", "green", "blue"))


@pytest.fixture
def colored(rng):
    return make_colored(rng)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 300 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def picture(mode="RGB", size=(8, 8), value=None, format="PNG", **options):
    """An image file's bytes, one colour all over."""
    file = io.BytesIO()
    Image.new(mode, size, value).save(file, format, **options)
    return file.getvalue()


def write_tree(root: Path, files: dict[str, bytes]):
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def photos(train=4, test=2, classes=("cat", "dog"), **options):
    """A folder of images as {path: bytes}: `train` and `test` images a class, each of its own brightness."""
    return {
        f"{part}/{name}/{i:03}.png": picture(value=(60 * label + i, 10 * i, 100), **options)
        for part, count in (("train", train), ("test", test))
        for label, name in enumerate(classes)
        for i in range(count)
    }


def archive(path, files, kind):
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as file:
            for name, content in files.items():
                file.writestr(name, content)
        return path
    with tarfile.open(path, f"w:{kind}") as file:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return path


def train_and_test(root, size=None, temp_dir=None):
    """The training and, where there are any, the test images of a root."""
    images = load_folder(root, size, temp_dir).images
    return images["train"], images.get("test")


def assert_equal(one, other):
    assert np.array_equal(one.images, other.images)
    assert np.array_equal(one.labels, other.labels)
    assert one.classes == other.classes


@pytest.fixture(scope="session")
def build_once(tmp_path_factory, worker_id):
    """Have the first worker that needs a project build it; return a copy, and what the building printed."""

    def build_or_copy(name, build):
        alone = worker_id == "master"
        folder = tmp_path_factory.mktemp(name) if alone else tmp_path_factory.getbasetemp().parent / f"shared-{name}"
        folder.mkdir(exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "said.txt").exists():
                shutil.rmtree(folder / "project", ignore_errors=True)
                (folder / "said.txt").write_text(build(folder))
        project = Project(folder / "project", folder)
        return project if alone else project.copy(tmp_path_factory.mktemp(name)), (folder / "said.txt").read_text()

    return build_or_copy


@pytest.fixture(scope="session")
def built(build_once):
    """A tiny project in which the whole chain has run, with what that said and its stages; not to be changed."""

    def build(home):
        project = tiny_project(home)
        said = project("dvc repro")
        project("git add -A")
        project("git commit -qm built")
        return said

    project, project.said = build_once("built", build)
    project.first = project.stages(project.said)
    return project


@pytest.fixture
def project(built, tmp_path):
    """A copy of it, for a test to change."""
    return built.copy(tmp_path)


@pytest.fixture
def small_nets(monkeypatch):
    """torchvision's networks are small ones."""
    shrink(monkeypatch)
