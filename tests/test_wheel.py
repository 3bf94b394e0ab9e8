"""A wheel, built from the sdist and installed in an environment of its own, starts projects in which DVC runs."""

import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest
from conftest import photos, write_tree
from documents import commands
from dvc_project import ROOT, Project

from deepen.project.file_list import list_project_files

pytestmark = pytest.mark.slow
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
OFFLINE = ["--no-deps", "--no-index"]
BUILD_SDIST = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"


def run(*words, cwd):
    done = subprocess.run(list(map(str, words)), cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


def copy_tracked(folder):
    """Copy the repository's files, without what git ignores."""
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = filter(None, run(*words, cwd=ROOT).split("\0"))
    return write_tree(folder, {name: (ROOT / name).read_bytes() for name in names if (ROOT / name).is_file()})


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel built from the unpacked sdist, not from the repository."""
    home = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-c", BUILD_SDIST, home, cwd=copy_tracked(home / "source"))
    (sdist,) = home.glob("*.tar.gz")
    with tarfile.open(sdist) as packed:
        packed.extractall(home / "sdist", filter="data")
    (unpacked,) = (home / "sdist").iterdir()
    run(*PIP, "wheel", unpacked, *OFFLINE, "--no-build-isolation", "--wheel-dir", home, cwd=home)
    (built,) = home.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """A virtual environment with the wheel, that sees the other packages of this one but not its Deepen."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))  # whose own .pth files are not read
    run(*PIP, "--python", folder / "bin/python", "install", *OFFLINE, wheel, cwd=folder)
    return folder


@pytest.fixture
def place(environment, tmp_path):
    """A folder in which commands run in that environment."""
    place = Project(tmp_path / "here", tmp_path, python=str(environment / "bin/python"))
    place.path.mkdir()
    place.env.pop("PYTHONPATH", None)
    place.env["GIT_CEILING_DIRECTORIES"] = str(tmp_path)
    return place


def library(place):
    """The folder of the installed library."""
    return Path(place("python -c", "import deepen; print(deepen.__file__)").strip()).parent


def append(file):
    """Change a file of the installed library, as an upgrade does."""
    file.write_text(file.read_text() + "# upgraded\n")


def test_a_wheel_has_the_repository_s_files_once(wheel):
    with zipfile.ZipFile(wheel) as packed:
        found = {name: packed.read(name) for name in packed.namelist() if name.startswith("deepen/project/files/")}
        assert "deepen/report/page.html.j2" in packed.namelist()
    assert found == {f"deepen/project/files/{path}": (ROOT / path).read_bytes() for path in list_project_files(ROOT)}


def test_the_image_has_all_that_the_wheel_is_built_from():
    sources = re.findall(r"^COPY (.*) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    copied = [Path(name) for each in sources for name in each.split()]
    needed = [Path("setup.py"), *list_project_files(ROOT)]
    assert [path for path in needed if not {path, *path.parents} & set(copied)] == []


def test_the_commands_of_projects_md_run_with_the_wheel(place, environment):
    assert environment in library(place).parents
    write_tree(place.path / "photos", photos(train=20, test=4, size=(30, 40)))
    page = commands("docs/projects.md")
    tiny = "sed -i.bak -e 's/^width: auto /width: 0.03125 /' -e 's/^threads: auto /threads: 1 /' -e 's/epochs: auto$/epochs: 1/' params.yaml && rm params.yaml.bak"  # fmt: skip
    first = page.pop("Start").replace("cd flowers\n", f"cd flowers\n{tiny}\n")
    said = place("bash -euo pipefail -c", first)
    order = ["installed", "scan", "prepare", "statistics", "check"]
    order += [f"{stage}@{model}" for model in ("I", "II", "III") for stage in ("transfer", "train", "evaluate")]
    assert sorted(re.findall(r"^Running stage '(.*)':", said, re.MULTILINE)) == sorted(
        [*order, "saliency", "collect", "report"]
    )
    place.path /= "flowers"
    always = re.findall(r"^(\S+):\n\talways changed$", place("dvc status"), re.MULTILINE)
    assert sorted(always) == ["collect", "installed", "scan"]
    assert "next: dvc exp run --temp" in place("deepen").replace("\n  ", " ")
    assert "digits" in place("deepen results")
    place("git add --all")
    place("git commit --quiet --message First")

    code = library(place)
    append(code / "report/tables.py")
    ran = place.ran("dvc repro")
    assert ran == ["installed", "report"]
    append(code / "training/loss.py")
    assert place.ran("dvc repro installed") == ["installed"]
    changed = re.findall(r"^(\S+):$", place("dvc status"), re.MULTILINE)
    assert sorted(changed) == sorted(["collect", "installed", "scan", "train@I", "train@II", "train@III"])
    append(code / "report/tables.py")  # between the stage `installed` and this one
    done = place.run("python -m pipeline.report")
    assert done.returncode == 1
    assert done.stderr == "error: changed while it ran: the installed package deepen.report; run it again\n"

    said = place("bash -euo pipefail -c", page.pop("Settings that fit your images"))
    assert "datasets.folder.root: ../photos (was images)" in said.replace("\n  ", " ")
    assert "dvc repro will train I, II, III for 1 epoch each, on 36 images of 3x40x30" in said.replace("\n  ", " ")

    place.edit("dvc.yaml", ("pipeline.installed 0", "pipeline.installed 9.0"))
    assert "warning: pipeline/ and dvc.yaml are of deepen 9.0." in place("dvc repro installed")
    said = place("bash -euo pipefail -c", page.pop("Upgrade"))
    assert "warning: pipeline/" not in said
    assert "test top-1 in percent: I " in said
    assert not page
