"""More images than memory: prepare and statistics of a set that is larger than the process may have."""

import io
import itertools
import re
import resource
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
import yaml_text
from dvc_project import ROOT
from PIL import Image
from sklearn.datasets import load_sample_images

from deepen.data.images import load_images

SIDE = 224
DISTINCT = 300


def crops():
    """JPEG files of two photos, each of another part."""
    photos = load_sample_images().images
    chance = np.random.default_rng(0)
    for i in range(DISTINCT):
        photo = photos[i % 2]
        y, x = (chance.integers(side - SIDE + 1) for side in photo.shape[:2])
        file = io.BytesIO()
        Image.fromarray(photo[y : y + SIDE, x : x + SIDE]).save(file, "JPEG", quality=85)
        yield file.getvalue()


def write_archive(path, count):
    """So many images of two classes in a .tar, the same again and again under other names."""
    contents = itertools.cycle(list(crops()))
    with tarfile.open(path, "w") as file:
        for i, content in zip(range(count), contents, strict=False):
            member = tarfile.TarInfo(f"train/{('china', 'flower')[i % 2]}/{i:06}.jpg")
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))


def own_memory(pid):
    """Bytes of a process and those it started that are theirs alone, and not pages of a file."""
    total = 0
    for each in (pid, *Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        found = re.search(r"RssAnon:\s+(\d+) kB", Path(f"/proc/{each}/status").read_text())
        total += 1024 * int(found[1]) if found else 0
    return total


def limited(command, folder, limit):
    """Run a command that may have so many bytes of data (RLIMIT_DATA); the most it and its children had, and seconds."""
    start, most = time.monotonic(), 0
    process = subprocess.Popen(
        [sys.executable, *command], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
    )  # fmt: skip
    while process.poll() is None:
        try:
            most = max(most, own_memory(process.pid))
        except (FileNotFoundError, ProcessLookupError):  # one has just ended
            continue
        time.sleep(0.05)
    return process.returncode, process.communicate()[0], most, time.monotonic() - start


@pytest.fixture
def project(tmp_path):
    """A folder with settings and code; what is prepared there does not stay."""
    settings = yaml_text.load((ROOT / "params.yaml").read_text())
    settings["data"] = "folder"
    settings["datasets"]["folder"]["root"] = "images.tar"
    (tmp_path / "params.yaml").write_text(yaml_text.dump(settings))
    for name in ("pipeline", "src"):
        (tmp_path / name).symlink_to(ROOT / name)
    yield tmp_path
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited and counted as Linux does it")
@pytest.mark.slow
def test_prepare_and_statistics_have_no_more_memory_than_a_limit_far_below_the_images(
    project, torture, record_property
):
    count, limit = (40_000, 10**9) if torture else (2_400, 230 * 10**6)
    size = count * 3 * SIDE * SIDE
    write_archive(project / "images.tar", count)
    for stage in ("scan", "prepare", "statistics"):
        code, output, most, seconds = limited(["-m", f"pipeline.{stage}"], project, limit)
        assert code == 0, output
        assert most < limit
        record_property(
            f"{stage} of {size / 1e9:.2f} GB, RLIMIT_DATA {limit / 1e6:.0f} MB",
            f"{seconds:.0f} s, at most {most / 1e6:.0f} MB in memory with its processes",
        )
    assert [path.name for path in project.iterdir() if path.name.startswith(".")] == []
    parts = [load_images(project / f"data/{part}.safetensors") for part in ("train", "validation", "test")]
    assert sum(part.stored.nbytes for part in parts) == size
    whole = "import numpy; from pathlib import Path; from deepen.data.images import load_images; numpy.array(load_images(Path('data/train.safetensors')).images)"
    code, output, _, _ = limited(["-c", f"import sys; sys.path.insert(0, 'src'); {whole}"], project, limit)
    assert code == 1
    assert "MemoryError" in output  # the limit is one
